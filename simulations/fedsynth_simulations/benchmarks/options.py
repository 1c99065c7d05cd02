"""Options that several `fedsynth benchmark` commands share; imports nothing that takes time."""

from pathlib import Path
from typing import Annotated

import typer

from fedsynth_server.cli.options import VariantName

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
Sites = Annotated[int, typer.Option(min=1, help="Number of simulated sites.")]
Seeds = Annotated[
    list[int] | None,
    typer.Option("--seed", min=0, help="The seed; repeatable. Default: 0."),
]
StudyVariant = Annotated[VariantName, typer.Option(help="The variant of the studies.")]
JsonLines = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
ExternalLimit = Annotated[
    float, typer.Option(min=1, help="A published method is stopped after this many seconds.")
]
