"""Options that several `fedsynth benchmark` commands share; imports nothing that takes time."""

from pathlib import Path
from typing import Annotated

import typer

DATA = "FEDSYNTH_DATA"
"""Environment variable: the folder of the named tables."""

DataFolder = Annotated[
    Path | None, typer.Option(envvar=DATA, help="Folder of the named tables.", show_default=False)
]
OutFile = Annotated[
    Path | None,
    typer.Option(help="Results file (.json). Cells that are finished in it are skipped."),
]
Quick = Annotated[
    bool, typer.Option("--quick", help="Train for few steps only, to test the set-up.")
]
ExternalLimit = Annotated[
    float, typer.Option(min=1, help="A published method is stopped after this many seconds.")
]
