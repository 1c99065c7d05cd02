"""`fedsynth study export`: writes the folder of the release: generator, documents, table, report."""

import shutil
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fedsynth_common.errors import InputError
from fedsynth_server.cli.options import Folder, Force


class TableFormat(StrEnum):
    """How the synthetic table is written."""

    PARQUET = "parquet"
    CSV = "csv"


def export(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="The folder to write.")],
    rows: Annotated[
        int | None,
        typer.Option(
            min=1, help="Number of records to draw. By default as many as the plan declares."
        ),
    ] = None,
    table_format: Annotated[
        TableFormat, typer.Option("--format", help="The file format of the table.")
    ] = TableFormat.PARQUET,
    seed: Annotated[
        int | None, typer.Option(min=0, help="The same seed draws the same records again.")
    ] = None,
    force: Force = False,
) -> None:
    """Write a finished study: the generator with its documents, a synthetic table and a report."""
    from fedsynth_release.generator import Generator
    from fedsynth_release.generator_files import REPORT
    from fedsynth_release.report import StudyHistory, summary_lines, write_report
    from fedsynth_release.report.history import HISTORY
    from fedsynth_release.table_writer import TableWriter
    from fedsynth_server.study.folder import StudyFolder

    study = StudyFolder(folder)
    plan = study.plan()
    if not study.finished():
        raise InputError(f"{folder}: is not finished; see it with: fedsynth study watch {folder}")
    if out.exists() and not force and any(out.iterdir()):
        raise InputError(f"{out}: exists; choose another folder or pass --force")
    generator = Generator.load(study.generator)  # a damaged one is refused: nothing is written
    out.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(out / "generator", ignore_errors=True)
    shutil.copytree(study.generator, out / "generator")
    wanted = rows or plan.records_per_site * len(plan.sites)
    with TableWriter(out / f"synthetic.{table_format.value}") as writer:
        for frame in generator.stream(wanted, seed):
            writer.write(frame)
    history = None
    (out / HISTORY).unlink(missing_ok=True)  # of an earlier export
    if study.history.is_file():
        history = StudyHistory.load(study.history).without_times()
        (out / HISTORY).write_text(history.to_json(), encoding="utf-8")
    page = write_report(
        out / "generator", out / REPORT, history=history, force=True, written_on=date.today()
    )
    lost = [site.site for site in generator.statement.sites if site.status == "lost"]
    typer.echo(f"{out}: generator, {wanted} records, {REPORT}")
    typer.echo(f"release {generator.statement.release_id}: tell it to readers by another way")
    for line in summary_lines(page):
        typer.echo(line)
    for site in lost:
        typer.echo(f"note: {site} gave no receipt; its cost is stated as that of the whole plan")
    for caveat in generator.statement.caveats:
        typer.echo(f"note: {caveat}")
