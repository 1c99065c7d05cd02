"""`fedsynth report` writes one page about a generator from its folder and an optional evaluation.

Exit codes: 0 if the page was written, 2 if a folder, file or name cannot be used.
"""

from datetime import date
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

EPILOG = (
    "Examples:\n\n"
    "fedsynth report out/generator\n\n"
    "fedsynth report out/generator --evaluation out/evaluation.json --out internal.html"
)


@app.command(epilog=EPILOG)
def report(
    generator: Annotated[
        Path, typer.Argument(help="Folder of a finished generator, or of a release.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="File to write. By default this is report.html beside the folder."),
    ] = None,
    evaluation: Annotated[
        Path | None,
        typer.Option(
            help="The evaluation.json of this generator's table. It adds a comparison with real "
            "records, the utility and the attacks. Do NOT publish a report with an evaluation."
        ),
    ] = None,
    history: Annotated[
        Path | None, typer.Option(help="The history.json of the study. It adds training curves.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write report.html, one page that says which columns to trust and what the limits are.

    The page is one file without scripts, and it loads nothing from a network.

    Without --evaluation it contains only what the sites released, so it can be published.
    """
    # imported here so that --help does not load torch
    from fedsynth_release.evaluation.results import Evaluation
    from fedsynth_release.generator_files import REPORT, generator_folder
    from fedsynth_release.report import StudyHistory, summary_lines, write_report

    generator = generator_folder(generator)
    place = out or generator.absolute().parent / REPORT
    first = write_report(
        generator,
        place,
        evaluation=Evaluation.load(evaluation) if evaluation else None,
        history=StudyHistory.load(history) if history else None,
        force=force,
        written_on=date.today(),
    )
    typer.echo(str(place))
    for line in summary_lines(first):
        typer.echo(line, err=True)
