"""`fedsynth benchmark` prints figures beside their ceiling, floors and other methods."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fedsynth_common.errors import InputError
from fedsynth_simulations.benchmarks.cell_results import ROWS, Results
from fedsynth_simulations.benchmarks.cli_first_sight import first_sight
from fedsynth_simulations.benchmarks.cli_lights import lights
from fedsynth_simulations.benchmarks.cli_probe import probe
from fedsynth_simulations.benchmarks.cli_published import published
from fedsynth_simulations.benchmarks.cli_shadow import shadow
from fedsynth_simulations.benchmarks.cli_speed import secure_sum, speed
from fedsynth_simulations.benchmarks.cli_stream import stream
from fedsynth_simulations.benchmarks.histories.cli import histories
from fedsynth_simulations.benchmarks.options import DataFolder, ExternalLimit, OutFile, Quick

app = typer.Typer(
    help="Measure synthetic tables, and compare them with real ones, floors and published methods.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

_STUDIES = first_sight, lights, probe, published, shadow, speed, stream, secure_sum, histories
for command in _STUDIES:
    app.command(command.__name__.replace("_", "-"))(command)
MIN_EPSILON, MAX_EPSILON = 0.01, 100.0
ResultsFile = Annotated[
    Path, typer.Argument(metavar="FILE", help="A results file that `run` has written.")
]


class Figure(StrEnum):
    """What `plot` draws over ε."""

    MEAN_AUC = "mean_auc"
    TARGET_AUC_BOOSTING = "target_auc_boosting"
    TARGET_AUC_LOGISTIC = "target_auc_logistic"
    DETECTION_AUC = "detection_auc"
    TVD_1 = "tvd_1"
    TVD_2 = "tvd_2"
    TVD_3 = "tvd_3"


@app.command()
def run(
    tables: Annotated[
        list[str],
        typer.Argument(
            metavar="TABLE...",
            help="A table with a name (simulations/README.md lists them), exclusive_ors (which the "
            "program builds), or a table file.",
        ),
    ],
    data: DataFolder = None,
    epsilon: Annotated[
        list[float] | None,
        typer.Option(help="The privacy budget ε. Repeat the option for several. Default: 1 and 3."),
    ] = None,
    delta: Annotated[float, typer.Option(help="The δ of the privacy guarantee.")] = 1e-5,
    sites: Annotated[int, typer.Option(min=1, help="Number of simulated sites.")] = 5,
    partition: Annotated[
        str,
        typer.Option(
            help="How records are dealt out to the sites: iid (at random), dirichlet:ALPHA (the sites "
            "differ in the target) or quantity:ALPHA (they differ in size)."
        ),
    ] = "iid",
    natural: Annotated[
        bool,
        typer.Option(
            "--natural", help="Use the real sites of the table (for oulad_clean its regions)."
        ),
    ] = False,
    target: Annotated[
        str | None, typer.Option(help="The column to predict. Tables with a name have one already.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Number of seeds for each row.")] = 3,
    rows: Annotated[
        str, typer.Option(help="The methods (rows) to run, separated by commas.")
    ] = ",".join(ROWS),
    out: OutFile = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Number of cells that are computed at the same time.")
    ] = 1,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Run the cells again that are finished in --out.")
    ] = False,
    quick: Quick = False,
    external_env: Annotated[
        Path,
        typer.Option(help="The environment of MST, AIM and others, which `external-env` builds."),
    ] = Path(".benchmark-env"),
    external_limit: ExternalLimit = 7200.0,
) -> None:
    """Run and print the benchmark of one or more tables. A restart continues where it stopped.

    For example:

      fedsynth benchmark run adult --rows real,independent,marginals,both,control --out adult.json

      fedsynth benchmark run heart_disease --epsilon 1 --seeds 5 --out heart.json
    """
    from fedsynth_simulations.benchmarks.report import console, show
    from fedsynth_simulations.benchmarks.runner import Request
    from fedsynth_simulations.benchmarks.runner import run as compute
    from fedsynth_simulations.benchmarks.tables import find

    request = Request(
        sources=[find(table, data, target, natural) for table in tables],
        rows=_rows(rows),
        epsilons=_epsilons(epsilon),
        delta=_delta(delta),
        sites=sites,
        partition=partition,
        seeds=seeds,
        quick=quick,
        jobs=jobs,
        external_folder=str(external_env),
        external_limit=external_limit,
    )
    results = Results(out, fresh)
    cells = compute(request, results, lambda line: typer.echo(line, err=True))
    show(console(), cells, results)


@app.command("show")
def show_file(file: ResultsFile) -> None:
    """Print a results file as a table."""
    from fedsynth_simulations.benchmarks.report import console, show

    results = _existing(file)
    show(console(), [cell for cell, _ in results], results)


@app.command("plot")
def plot_file(
    file: ResultsFile,
    out: Annotated[Path, typer.Option(help="The picture to write: .png, .svg, .pdf or .html.")],
    figure: Annotated[
        Figure, typer.Option(help="The figure to draw for each ε.")
    ] = Figure.MEAN_AUC,
) -> None:
    """Draw utility against ε, one line per method."""
    from fedsynth_simulations.benchmarks.plot import plot

    plot(_existing(file), out, figure.value)
    typer.echo(f"wrote {out}")


@app.command("large")
def large_tables(
    rows: Annotated[
        list[int] | None,
        typer.Option(
            min=1, help="Number of records. Repeat the option for several. Default: 100k and 1M."
        ),
    ] = None,
    columns: Annotated[
        int, typer.Option(min=2, max=500, help="Number of columns of the table.")
    ] = 50,
    file_format: Annotated[
        str, typer.Option("--format", help="The file format of the table: csv or parquet.")
    ] = "csv",
    events: Annotated[
        int,
        typer.Option(min=0, max=50, help="Events a person on average; 0: a table of records."),
    ] = 0,
    scratch: Annotated[
        Path | None,
        typer.Option(help="Folder for the table. A record takes about 300 bytes as CSV."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line.")
    ] = False,
) -> None:
    """Measure the time and memory that a site with many records needs.

    The records are checked and encoded, and all pairs of columns are counted.

    For example:

      fedsynth benchmark large --rows 100000 --rows 10000000

      fedsynth benchmark large --rows 10000000 --columns 20 --events 5 --format parquet
    """
    import json
    from dataclasses import asdict

    from fedsynth_simulations.benchmarks.large import run as measure

    if file_format not in {"csv", "parquet"}:
        raise InputError(f"--format {file_format!r}: expected csv or parquet")
    for count in rows or [100_000, 1_000_000]:
        figures = measure(count, columns, f".{file_format}", scratch, events)
        typer.echo(json.dumps(asdict(figures)) if as_json else figures.line)


@app.command("sampling")
def sampling_speed(
    generator: Annotated[Path, typer.Argument(help="Folder of a finished generator.")],
    rows: Annotated[int, typer.Option(min=1000, help="Number of records to draw.")] = 1_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Measure how many records per second a generator draws, and its peak memory.

    Drawing independent columns is measured too, for comparison.

    For example:

      fedsynth benchmark sampling out/first/generator --rows 1000000
    """
    import json
    from dataclasses import asdict

    from fedsynth_simulations.benchmarks.sampling import measure

    figures = measure(generator, rows)
    typer.echo(json.dumps(asdict(figures)) if as_json else "\n".join(figures.lines))


@app.command("overhead")
def overhead_of_a_study(
    sites: Annotated[int, typer.Option(min=1, max=100, help="Number of hospitals.")] = 2,
    messages: Annotated[
        int, typer.Option(min=1, help="Number of adversarial messages; a study has 24 by default.")
    ] = 24,
    empty: Annotated[int, typer.Option(min=1, help="Number of exchanges of the empty app.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Measure the seconds and bytes of a study's messages over a real SuperLink.

    An empty Flower app is measured too, for comparison.

    For example:

      fedsynth benchmark overhead --sites 2

      fedsynth benchmark overhead --sites 50 --messages 2 --empty 2
    """
    import json
    from dataclasses import asdict

    from fedsynth_simulations.benchmarks.overhead import measure_overhead

    overhead = measure_overhead(sites, messages, empty)
    if as_json:
        ratios = {"time_ratio": overhead.time_ratio, "bytes_ratio": overhead.bytes_ratio}
        typer.echo(json.dumps(asdict(overhead) | ratios))
        return
    for name, run in (("empty app", overhead.empty), ("study", overhead.study)):
        typer.echo(f"{name:10} {run.seconds:8.2f} s {run.bytes:12,.0f} bytes per message and site")
    typer.echo(f"{'ratio':10} {overhead.time_ratio:8.2f}   {overhead.bytes_ratio:12.2f}")
    typer.echo(
        f"{overhead.study.messages} messages per site in the study; {overhead.body_bytes:,.0f} bytes "
        "of each are the study's own, and the rest is Flower's"
    )


@app.command("external-env")
def external_env(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A new folder for the environment.")
    ] = Path(".benchmark-env"),
    networks: Annotated[
        bool,
        typer.Option(
            "--networks",
            help="Build the environment of ctgan and argn-dp in DIR-networks (torch; 2 GB).",
        ),
    ] = False,
) -> None:
    """Build the environment that the rows mst and aim run in (mbi and jax; about 700 MB)."""
    from fedsynth_simulations.benchmarks import external

    built = Path(external.External(str(folder)).networks.folder) if networks else folder
    external.build_environment(built, networks=networks)
    typer.echo(f"built {built}; use it with --external-env {folder}")


@app.command("cross-check-env")
def cross_check_env(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="A new folder for the environment.")
    ] = Path(".cross-check-env"),
) -> None:
    """Build the environment of `cross-check` (SDMetrics and Anonymeter; about 700 MB)."""
    from fedsynth_simulations.benchmarks.cross_check import build_environment

    build_environment(folder)
    typer.echo(f"built {folder}; use it with --env {folder}")


@app.command("cross-check")
def cross_check(
    table: Annotated[str, typer.Argument(help="A table with a name, or a table file.")] = "adult",
    data: DataFolder = None,
    env: Annotated[
        Path, typer.Option(help="The environment that `cross-check-env` builds.")
    ] = Path(".cross-check-env"),
    rows: Annotated[
        int, typer.Option(min=200, help="Number of training rows, and of held-out rows.")
    ] = 1500,
    attacks: Annotated[
        int, typer.Option(min=50, help="Number of targets or predicates of each attack.")
    ] = 500,
) -> None:
    """Compare figures and attacks with SDMetrics 0.32 and Anonymeter 1.1 on the same encoded tables.

    For example:

      fedsynth benchmark cross-check adult --env .cross-check-env
    """
    from rich.table import Table

    from fedsynth_common.errors import FedsynthError
    from fedsynth_simulations.benchmarks.cross_check import cross_check as compare
    from fedsynth_simulations.benchmarks.report import console
    from fedsynth_simulations.benchmarks.tables import find, load

    comparisons = compare(load(find(table, data, None, False)), env, rows, attacks)
    table_of_figures = Table("library", "figure", "ours", "theirs", "allowed", "agrees")
    for row in comparisons:
        figures = (f"{row.ours:.6f}", f"{row.theirs:.6f}", f"{row.allowed:.1e}")
        table_of_figures.add_row(row.library, row.figure, *figures, "yes" if row.agrees else "NO")
    console().print(table_of_figures)
    wrong = sum(not row.agrees for row in comparisons)
    if wrong:
        raise FedsynthError(
            f"{wrong} of {len(comparisons)} figures do not agree with the published libraries"
        )


def _existing(file: Path) -> Results:
    if not file.is_file():
        raise InputError(f"{file}: no such file; expected a results file of `benchmark run`")
    return Results(file)


def _rows(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in ROWS:
            raise InputError(f"--rows: unknown row {name!r}; expected some of {', '.join(ROWS)}")
    if not names:
        raise InputError(f"--rows: expected some of {', '.join(ROWS)}")
    return names


def _epsilons(values: list[float] | None) -> list[float]:
    for value in values or []:
        if not MIN_EPSILON <= value <= MAX_EPSILON:
            raise InputError(f"--epsilon {value:g}: expected a number from 0.01 to 100")
    return sorted(set(values or [1.0, 3.0]))


def _delta(value: float) -> float:
    if not 0 < value <= 0.1:
        raise InputError(f"--delta {value:g}: expected a number above 0 and at most 0.1")
    return value
