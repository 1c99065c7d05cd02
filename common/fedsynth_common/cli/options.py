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
DelimiterText = Annotated[
    str | None,
    typer.Option(
        "--delimiter",
        help="What separates the columns of a CSV file: ',', ';', '|' or tab. By default the one of "
        "its heading row.",
    ),
]
EncodingText = Annotated[
    str | None,
    typer.Option(
        "--encoding", help="The encoding of a CSV file, such as cp1252; by default UTF-8."
    ),
]
DecimalText = Annotated[
    str | None,
    typer.Option(
        "--decimal", help="The decimal mark of its numbers, '.' or ','; by default as they look."
    ),
]
DateOrder = Annotated[
    str | None,
    typer.Option(
        "--date-order",
        help="How its dates are written, where that is in doubt: dmy, mdy or ymd.",
    ),
]
Quick = Annotated[
    bool,
    typer.Option(
        "--quick",
        help="Use fewer records, targets and attempts. This is faster, and the intervals become wider.",
    ),
]
