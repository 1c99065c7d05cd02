"""Options that several `fedsynth benchmark` commands share; imports nothing that takes time."""

from pathlib import Path
from typing import Annotated

import typer

DATA = "FEDSYNTH_DATA"
"""Environment variable: the folder of the named tables."""

DataFolder = Annotated[
    Path | None, typer.Option(envvar=DATA, help="Folder of the named tables.", show_default=False)
]
