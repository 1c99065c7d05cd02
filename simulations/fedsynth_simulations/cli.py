"""`fedsynth simulate`: a whole study on one machine, from one table to a generator."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fedsynth_common.encoding.encoder import check_columns
from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema
from fedsynth_common.schema.draft import draft_schema
from fedsynth_common.tables import read_table
from fedsynth_release.table_writer import TableWriter
from fedsynth_server.cli.options import VARIANT_HELP, VariantName
from fedsynth_simulations.closed_file import NOTICE, write_closed

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

EPILOG = (
    "Examples:\n\n"
    "fedsynth simulate adult.csv --sites 5 --epsilon 1 --target income --out out\n\n"
    "fedsynth simulate heart.csv --site-column hospital --epsilon 3 --holdout 0.2 --out out"
)

RESULTS = (
    "generator",
    "synthetic.csv",
    "synthetic.parquet",
    "summary.json",
    "evaluation.json",
    "report.html",
    "history.json",
)
"""What --force may remove from --out; anything else that lies there stays."""


class Format(StrEnum):
    """Format of the synthetic table."""

    CSV = "csv"
    PARQUET = "parquet"


class BackendName(StrEnum):
    """Where the sites run."""

    INPROCESS = "inprocess"
    RAY = "ray"


@app.command(epilog=EPILOG)
def simulate(
    table: Annotated[
        Path, typer.Argument(help="File with the real records: .csv, .csv.gz or .parquet.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the result. It must be new or empty.")],
    sites: Annotated[int, typer.Option(help="Number of simulated sites.")] = 5,
    site_column: Annotated[
        str | None,
        typer.Option(
            help="Column that names the site of each record. It replaces --sites and --partition, "
            "and it is modelled only if the schema declares it."
        ),
    ] = None,
    partition: Annotated[
        str,
        typer.Option(
            help="How records are dealt out to the sites: iid (at random), dirichlet:ALPHA (the "
            "sites differ in the shares of the target) or quantity:ALPHA (they differ in size)."
        ),
    ] = "iid",
    epsilon: Annotated[
        float, typer.Option(help="The privacy budget ε of the records of each site.")
    ] = 1.0,
    delta: Annotated[float, typer.Option(help="The δ of the privacy guarantee.")] = 1e-5,
    target: Annotated[
        str | None,
        typer.Option(
            help="The column that models will predict. With --schema, the schema declares it."
        ),
    ] = None,
    schema: Annotated[
        Path | None,
        typer.Option(
            help="A reviewed schema. Without it a schema is drafted from the records, and the "
            "result is then not private."
        ),
    ] = None,
    rows: Annotated[
        int | None,
        typer.Option(
            help="Number of synthetic records. By default about as many as the sites have, by "
            "their noisy counts."
        ),
    ] = None,
    records_per_site: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="A public estimate of how many records a site has, which the plan declares. "
            "Without it the size is computed from the records. Such a run is a rehearsal, and its "
            "result is NOT private.",
        ),
    ] = None,
    holdout: Annotated[
        float,
        typer.Option(
            help="The share of records that no site gets. They are used to evaluate the result, "
            "and evaluation.json is written."
        ),
    ] = 0.0,
    attacks: Annotated[
        bool,
        typer.Option(
            "--attacks/--no-attacks", help="Also attack the result. This needs --holdout."
        ),
    ] = True,
    quasi_identifier: Annotated[
        list[str] | None,
        typer.Option(
            help="A column that the k-anonymised reference table of the attacks generalises. "
            "Repeat the option for several columns. By default these are all columns except the "
            "target. This needs --holdout."
        ),
    ] = None,
    variant: Annotated[VariantName, typer.Option(help=VARIANT_HELP)] = VariantName.AUTO,
    file_format: Annotated[
        Format, typer.Option("--format", help="The file format of the synthetic table.")
    ] = Format.CSV,
    backend: Annotated[
        BackendName,
        typer.Option(help="Where the sites run: in this process, or in Flower's Ray simulation."),
    ] = BackendName.INPROCESS,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Makes the run repeatable. Its noise is known, so the result is NOT private.",
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Train for few steps only, to test the set-up.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an earlier result in --out.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Run a federated study on one machine: deal a table out to sites, train, and draw records.

    The result is private only with --schema and --records-per-site, without --seed and --holdout,
    and with --site-column or --sites 1. In every other run something is computed from the records
    without noise, and every file says that the result is not private.
    """
    from fedsynth_release.report import write_report
    from fedsynth_simulations import simulate as simulations  # torch and Flower: not for --help

    if not 0 <= holdout < 1:
        raise InputError(f"--holdout {holdout:g}: expected a share from 0 to below 1")
    if rows is not None and rows < 1:
        raise InputError(f"--rows {rows}: expected at least 1")
    _check_out(out, force)
    if quasi_identifier and not holdout:
        raise InputError("--quasi-identifier: is for the attacks on a hold-out; pass --holdout too")
    frame = read_table(table)
    declared = None if schema is None else _declared(schema, target, site_column)
    if declared is not None:
        target = declared.target
    elif target is not None and target not in frame.columns:
        raise InputError(f"--target {target}: no such column in {table}")
    train, test = _split(frame, holdout, seed, declared)
    publish = declared is not None and declared.site_column == site_column
    frames = _partition(train, sites, partition, site_column, publish, target, seed)
    pooled = pd.concat(frames.values(), ignore_index=True)
    public = declared or _drafted(pooled, table, target)
    check_columns(pooled, public)
    for name in quasi_identifier or ():
        if name not in {column.name for column in public.modelled}:
            raise InputError(f"--quasi-identifier {name}: not a modelled column of the schema")
    simulation = simulations.Simulation(
        epsilon=epsilon,
        delta=delta,
        variant=variant.value,
        seed=seed,
        backend=backend.value,
        records_per_site=records_per_site,
        pooled=holdout > 0 or (site_column is None and sites > 1),
    )
    if quick:
        simulation = simulations.quick(simulation)
    with _draft_folder(out) as draft:
        result = simulations.simulate(frames, public, simulation, draft)
        with TableWriter(draft / f"synthetic.{file_format.value}") as writer:
            for part in result.generator.stream(rows or result.rows, seed):
                writer.write(part)
        summary = _summary(result, frames, out)
        evaluation = None
        if test is not None:
            reference = tuple(quasi_identifier or ())
            evaluation = _evaluation(
                draft, result, (pooled, test), quick, attacks, reference, summary
            )
        report = draft / "report.html"
        write_report(draft / "generator", report, evaluation=evaluation, history=result.history)
        write_closed(draft / "summary.json", summary)
        _publish(draft, out)
    _show(summary, evaluation, as_json)


def _check_out(out: Path, force: bool) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file; expected a folder")
    if out.is_dir() and any(out.iterdir()) and not force:
        raise InputError(f"--out {out}: is not empty; choose another folder or pass --force")


@contextmanager
def _draft_folder(out: Path) -> Iterator[Path]:
    """A folder on the same disk as `out`, gone afterwards: nothing half-finished stays behind."""
    above = next(folder for folder in out.absolute().parents if folder.exists())
    try:
        place = tempfile.TemporaryDirectory(prefix=".fedsynth-", dir=above)
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({error.strerror})") from None
    with place as name:
        draft = Path(name) / "result"
        draft.mkdir()
        yield draft


def _publish(draft: Path, out: Path) -> None:
    """Move the finished result into place, in one step per entry; an earlier result goes."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        for old in (out / name for name in RESULTS):
            if old.is_dir() and not old.is_symlink():
                shutil.rmtree(old)
            else:
                old.unlink(missing_ok=True)
        for entry in draft.iterdir():
            entry.replace(out / entry.name)
    except OSError as error:
        raise InputError(f"--out {out}: cannot be written ({error.strerror})") from None


def _split(
    frame: pd.DataFrame, holdout: float, seed: int | None, declared: Schema | None
) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Rows for the sites and rows kept from them, by person where the schema names one."""
    if holdout == 0:
        return frame, None
    from fedsynth_release.evaluation.evaluate_table import MIN_ROWS
    from fedsynth_release.evaluation.split import split_rows

    rng = np.random.default_rng(0 if seed is None else seed)
    try:
        train, test = split_rows(frame, holdout, rng, declared.person_key if declared else None)
    except InputError as error:
        raise InputError(f"--holdout {holdout:g}: {error}") from None
    if min(len(train), len(test)) < MIN_ROWS:
        fault = f"leaves {len(test)} of {len(frame)} records to measure on"
        raise InputError(f"--holdout {holdout:g}: {fault}; expected at least {MIN_ROWS} per side")
    return train, test


def _partition(
    train: pd.DataFrame,
    sites: int,
    spec: str,
    site_column: str | None,
    publish: bool,
    target: str | None,
    seed: int | None,
) -> dict[str, pd.DataFrame]:
    from fedsynth_simulations.partition import partition

    rng = np.random.default_rng(0 if seed is None else seed)
    return partition(
        train, sites, spec, rng, target=target, site_column=site_column, publish=publish
    )


def _declared(path: Path, target: str | None, site_column: str | None) -> Schema:
    """The reviewed schema, without the site column unless it publishes that."""
    public = Schema.load(path)
    if target is not None and target != public.target:
        raise InputError(
            f"--target {target}: the schema declares {public.target!r}; change it there"
        )
    if site_column in (None, public.site_column):
        return public
    if site_column in (public.target, public.person_key):
        raise InputError(f"--site-column {site_column}: is the schema's target or person key")
    return public.without(site_column)


def _drafted(pooled: pd.DataFrame, table: Path, target: str | None) -> Schema:
    """A schema drafted from the data, which voids the guarantee."""
    return draft_schema(pooled, table.name.split(".")[0] or "table", target=target)


def _summary(result: Any, frames: dict[str, pd.DataFrame], out: Path) -> dict[str, Any]:
    statement = result.generator.statement
    return {
        "out": str(out),
        "private": statement.private,
        "caveats": list(statement.caveats),
        "sites": {
            cost.site: {"records": len(frames[cost.site]), "epsilon": cost.epsilon}
            for cost in statement.sites
        },
        "epsilon": statement.epsilon_if_people_are_at_one_site_only,
        "delta": statement.delta,
        "variant": _variant(result.plan),
        "seconds": round(result.seconds, 1),
        "bytes_per_site": result.outcome.bytes_per_site,
        "notes": result.outcome.notes,
    }


def _variant(plan: Any) -> str:
    """What the budget was really spent on."""
    pairs = any(step.purpose == "marginals" for step in plan.measure)
    names = {(True, True): "both", (True, False): "marginals", (False, True): "gan"}
    return names[pairs, plan.discriminator is not None]


def _evaluation(
    draft: Path,
    result: Any,
    real: tuple[pd.DataFrame, pd.DataFrame],
    quick: bool,
    attacks: bool,
    quasi_identifiers: tuple[str, ...],
    summary: dict[str, Any],
) -> Any:
    """Evaluate the table in `draft`, write evaluation.json, and its short form into `summary`.

    What cannot be evaluated (no column to predict, hardly any rows) costs the evaluation, not the
    study.
    """
    from fedsynth_release.cli.evaluate import progress, write_private
    from fedsynth_release.evaluation import evaluate_table

    statement = result.generator.statement
    made = read_table(next(draft.glob("synthetic.*")))
    try:
        with progress() as say:
            found = evaluate_table(
                *real,
                made,
                result.plan.table,
                quick=quick,
                attacks=attacks,
                quasi_identifiers=quasi_identifiers,
                epsilon=statement.epsilon_if_people_are_at_one_site_only,
                delta=statement.delta,
                say=say,
            )
    except InputError as error:
        summary["notes"] = [*summary["notes"], f"not evaluated: {error}"]
        return None
    write_private(found, draft / "evaluation.json")
    summary["quality"] = _quality(found)
    return found


def _quality(found: Any) -> dict[str, dict[str, float | None]]:
    """The main figures of an evaluation, by table."""
    sources = {
        "real records": ("hold-out", "real"),
        "synthetic": ("synthetic", "synthetic"),
        "independent columns": ("independent", "independent"),
    }
    fidelity = {row.role: row.model_dump(exclude={"role"}) for row in found.fidelity.figures}
    return {
        name: fidelity[role]
        | {
            f"mean_{mean.metric.lower()}_{mean.learner}": getattr(mean, field)
            for mean in found.utility.means
        }
        for name, (role, field) in sources.items()
    }


def _show(summary: dict[str, Any], evaluation: Any, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"notice": NOTICE, **summary}))
        return
    console = Console()
    for caveat in summary["caveats"]:
        console.print(escape(caveat), style="bold red", highlight=False, soft_wrap=True)
    sites = Table("site", "records", "ε", title=f"δ = {summary['delta']:g}")
    for site, cost in summary["sites"].items():
        sites.add_row(escape(site), f"{cost['records']:,}", f"{cost['epsilon']:.4f}")
    console.print(sites)
    console.print(NOTICE, style="bold", highlight=False, soft_wrap=True)
    if evaluation is not None:
        from fedsynth_release.evaluation.summary import show

        show(evaluation, console)
    for note in summary["notes"]:
        console.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)
    written = "generator/, synthetic table, report.html, history.json"
    written += "" if evaluation is None else ", evaluation.json"
    done = f"{summary['out']}: {written} ({summary['seconds']} s)"
    console.print(done, markup=False, highlight=False, soft_wrap=True)
