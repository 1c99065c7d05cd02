"""Options that several commands share, so that they have one name and one help text everywhere."""

from pathlib import Path
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the output file if it exists.")]
ResultFile = Annotated[
    Path | None,
    typer.Option(
        "--out", help="Also write the result to this new .json file, which only you can read."
    ),
]
Quick = Annotated[
    bool,
    typer.Option(
        "--quick",
        help="Use fewer records, targets and attempts. This is faster, and the intervals become wider.",
    ),
]
