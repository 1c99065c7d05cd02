"""`fedsynth simulate`: a whole study on one machine, from one table to a generator."""

from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from click.core import ParameterSource

from fedsynth_common.cli.options import DateOrder, DecimalText, DelimiterText, EncodingText
from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_REPAIRED
from fedsynth_server.cli.options import (
    COLLUDERS_HELP,
    DEVICE_HELP,
    TRUST_HELP,
    VARIANT_HELP,
    DeviceName,
    EveryName,
    SiteMarginals,
    TrustName,
    VariantName,
)
from fedsynth_server.refresh import HALF_LIFE

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

EPILOG = (
    "Examples:\n\n"
    "fedsynth simulate adult.csv --sites 5 --epsilon 1 --target income --out out\n\n"
    "fedsynth simulate heart.csv --site-column hospital --epsilon 3 --holdout 0.2 --out out\n\n"
    "fedsynth simulate visits.csv --stream admitted --every quarter --epsilon 0.5 --out out"
)


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
    context: typer.Context,
    table: Annotated[
        Path, typer.Argument(help="File with the real records: .csv, .csv.gz or .parquet.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for the result. It must be new or empty.")],
    sites: Annotated[int, typer.Option(help="Number of simulated sites.")] = 5,
    site_column: Annotated[
        str | None,
        typer.Option(
            help="Column that names the site of each record. It replaces --sites and --partition, "
            "and its values are published as the names of the sites. Unless the schema declares it "
            "as its site_column, the names are taken from the records; the column is then not "
            "modelled, and the result is NOT private."
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
    delimiter: DelimiterText = None,
    encoding: EncodingText = None,
    decimal: DecimalText = None,
    date_order: DateOrder = None,
    person_key: Annotated[
        str | None,
        typer.Option(
            help="Without --schema, the column that names the person, if a person has several rows."
        ),
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(help="With --person-key, the date or number that orders a person's events."),
    ] = None,
    max_repaired: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="With --schema, the largest share of a column's cells that may not fit it. More are "
            "refused, as `site check` does.",
        ),
    ] = MAX_REPAIRED,
    stream: Annotated[
        str | None,
        typer.Option(
            help="Rehearse a table that grows: cut it by this column (a date, or a categorical one) "
            "into cohorts, and study one after the other, each with --epsilon."
        ),
    ] = None,
    every: Annotated[
        EveryName | None, typer.Option(help="With --stream, how long a cohort of dates is.")
    ] = None,
    cohorts: Annotated[
        int | None,
        typer.Option(
            min=2,
            help="The same with so many cohorts of equal size, cut by the order of the records.",
        ),
    ] = None,
    half_life: Annotated[
        float,
        typer.Option(help="With cohorts, how many later what was measured counts half."),
    ] = HALF_LIFE,
    variant: Annotated[VariantName, typer.Option(help=VARIANT_HELP)] = VariantName.AUTO,
    trust: Annotated[TrustName, typer.Option(help=TRUST_HELP)] = TrustName.LOCAL,
    colluders: Annotated[int | None, typer.Option(min=1, help=COLLUDERS_HELP)] = None,
    site_marginals: SiteMarginals = False,
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
    device: Annotated[DeviceName, typer.Option(help=DEVICE_HELP)] = DeviceName.CPU,
    quick: Annotated[
        bool, typer.Option("--quick", help="Train for few steps only, to test the set-up.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace an earlier result in --out.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with a run that was stopped: repeat its command with this option. Runs with "
            "--seed or on Ray cannot be resumed.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Run a federated study on one machine: deal a table out to sites, train, and draw records.

    The result is private only with --schema and --records-per-site, without --seed and --holdout,
    and with --sites 1 or a --site-column that the schema declares as its site_column. In every
    other run something is taken from the records without noise, and every file says that the result
    is not private.
    """
    from fedsynth_release.whole_folder import check_out
    from fedsynth_server.training.settings import TrainingSettings
    from fedsynth_simulations import simulate as simulations  # torch and Flower: not for --help
    from fedsynth_simulations.result_folder import Wanted
    from fedsynth_simulations.table_options import Reading, tables_of
    from fedsynth_simulations.unfinished import Clock, resumable
    from fedsynth_simulations.whole_run import run

    if growing := (stream, cohorts, every) != (None, None, None):
        from fedsynth_simulations.stream_run import refuse_options

        refuse_options(stream, cohorts, every, holdout, resume, trust.value, backend.value)
    if not 0 <= holdout < 1:
        raise InputError(f"--holdout {holdout:g}: expected a share from 0 to below 1")
    if rows is not None and rows < 1:
        raise InputError(f"--rows {rows}: expected at least 1")
    check_out(out, force)
    if quasi_identifier and not holdout:
        raise InputError("--quasi-identifier: is for the attacks on a hold-out; pass --holdout too")
    with ExitStack() as stack:
        unfinished = None
        if seed is None and backend is BackendName.INPROCESS and not growing:
            division = [sites, partition, site_column, holdout, person_key]
            unfinished = stack.enter_context(
                resumable(out, table, {"division": division}, resume, force)
            )
        elif resume:
            raise InputError("--resume: runs with --seed or on Ray cannot be resumed; run it again")
        tables = tables_of(
            table,
            schema,
            sites=sites,
            partition=partition,
            site_column=site_column,
            target=target,
            holdout=holdout,
            seed=unfinished.seed if unfinished else seed,
            reading=Reading(
                delimiter,
                encoding,
                decimal,
                date_order,
                max_repaired,
                person_key,
                order,
                cohorts,
            ),
        )
        for name in quasi_identifier or ():
            if name not in {column.name for column in tables.schema.modelled}:
                raise InputError(f"--quasi-identifier {name}: not a modelled column of the schema")
        simulation = simulations.Simulation(
            epsilon=epsilon,
            delta=delta,
            variant=variant.value,
            trust=trust.value,
            colluders=colluders,
            site_marginals=site_marginals,
            settings=TrainingSettings.on(device.value),
            seed=seed,
            backend=backend.value,
            records_per_site=records_per_site,
            pooled=tables.rehearsed,
        )
        if quick:
            simulation = simulations.quick(simulation)
        if growing:
            from fedsynth_simulations.stream_run import Growth, run_stream

            growth = Growth(stream, every.value if every else None, half_life)
            run_stream(tables, simulation, growth, out, rows, file_format.value, as_json)
            return
        reference = tuple(quasi_identifier or ())
        clock = unfinished or Clock()
        wanted = Wanted(
            out, rows, file_format.value, attacks, reference, quick, seed, lambda: clock.seconds
        )
        given = {
            name
            for name in context.params
            if context.get_parameter_source(name) is not ParameterSource.DEFAULT
        }
        run(tables, simulation, wanted, unfinished, None if as_json else given)
