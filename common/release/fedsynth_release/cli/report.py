"""`fedsynth report`: one page about a generator, from its own folder and, if given, an evaluation.

Exit codes: 0 written, 2 for a folder, evaluation or name that cannot be used.
"""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

EPILOG = (
    "Example:  fedsynth report out/generator   |   "
    "fedsynth report out/generator --evaluation out/evaluation.json --out internal.html"
)


@app.command(epilog=EPILOG)
def report(
    generator: Annotated[Path, typer.Argument(help="Folder of a finished generator.")],
    out: Annotated[
        Path | None, typer.Option(help="File to write; default: report.html beside the folder.")
    ] = None,
    evaluation: Annotated[
        Path | None,
        typer.Option(
            help="evaluation.json of the same table: adds real records as reference, utility and "
            "attacks. The report is then NOT for release."
        ),
    ] = None,
    history: Annotated[
        Path | None, typer.Option(help="history.json of the study: adds training curves.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite an existing file.")] = False,
) -> None:
    """Write report.html: which columns to trust, privacy budget, limits; no scripts, no network.

    Without --evaluation nothing in it comes from real records but through what sites released.
    """
    from fedsynth_release.evaluation.results import Evaluation
    from fedsynth_release.generator_files import REPORT
    from fedsynth_release.report import StudyHistory, write_report  # loads torch: not for --help

    place = out or generator.absolute().parent / REPORT
    write_report(
        generator,
        place,
        evaluation=Evaluation.load(evaluation) if evaluation else None,
        history=StudyHistory.load(history) if history else None,
        force=force,
    )
    typer.echo(str(place))
