"""`fedsynth benchmark`: figures beside their ceiling, floors and rivals; results in a JSON file."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fedsynth_common.errors import InputError
from fedsynth_simulations.benchmarks.cell_results import ROWS, Results
from fedsynth_simulations.benchmarks.cli_shadow import shadow
from fedsynth_simulations.benchmarks.options import DataFolder

app = typer.Typer(
    help="Measure synthetic tables against real ones, floors and published methods.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

app.command("shadow")(shadow)

MIN_EPSILON, MAX_EPSILON = 0.01, 100.0
ResultsFile = Annotated[Path, typer.Argument(metavar="FILE", help="A results file of `run`.")]


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
            help="adult, support2, diabetes130, heart_disease, credit_default_taiwan, oulad_clean, "
            "exclusive_ors (built), "
            "or a table file.",
        ),
    ],
    data: DataFolder = None,
    epsilon: Annotated[
        list[float] | None, typer.Option(help="Privacy budget; repeatable. Default: 1 and 3.")
    ] = None,
    delta: Annotated[float, typer.Option(help="δ of the guarantee.")] = 1e-5,
    sites: Annotated[int, typer.Option(min=1, help="Number of simulated sites.")] = 5,
    partition: Annotated[
        str, typer.Option(help="iid, dirichlet:ALPHA (label skew) or quantity:ALPHA.")
    ] = "iid",
    natural: Annotated[
        bool, typer.Option("--natural", help="Use the table's real sites (oulad_clean: regions).")
    ] = False,
    target: Annotated[
        str | None, typer.Option(help="Target column; known for the named tables.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds per row.")] = 3,
    rows: Annotated[str, typer.Option(help="Rows to print, separated by commas.")] = ",".join(ROWS),
    out: Annotated[
        Path | None, typer.Option(help="Results file (.json); finished cells in it are skipped.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Cells computed at a time.")] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Redo what --out holds.")] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few training steps: a smoke test.")
    ] = False,
    external_env: Annotated[
        Path, typer.Option(help="Environment of MST, AIM and others, from `external-env`.")
    ] = Path(".benchmark-env"),
    external_limit: Annotated[
        float, typer.Option(min=1, help="Seconds after which a method of others is stopped.")
    ] = 7200.0,
) -> None:
    """Compute and print the benchmark of one or more tables; a restart goes on where it stopped.

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
    """Print a results file."""
    from fedsynth_simulations.benchmarks.report import console, show

    results = _existing(file)
    show(console(), [cell for cell, _ in results], results)


@app.command("plot")
def plot_file(
    file: ResultsFile,
    out: Annotated[Path, typer.Option(help="Picture: .png, .svg, .pdf or .html.")],
    figure: Annotated[Figure, typer.Option(help="What to draw over ε.")] = Figure.MEAN_AUC,
) -> None:
    """Draw utility against ε, one line per method."""
    from fedsynth_simulations.benchmarks.plot import plot

    plot(_existing(file), out, figure.value)
    typer.echo(f"wrote {out}")


@app.command("large")
def large_tables(
    rows: Annotated[
        list[int] | None, typer.Option(min=1, help="Records; repeatable. Default: 100k and 1M.")
    ] = None,
    columns: Annotated[int, typer.Option(min=2, max=500, help="Columns of the table.")] = 50,
    file_format: Annotated[
        str, typer.Option("--format", help="csv or parquet: how the table is stored.")
    ] = "csv",
    scratch: Annotated[
        Path | None, typer.Option(help="Folder for the table: some 300 bytes a record as CSV.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Time and memory of a site with many records: check, encode, count all pairs.

    For example:

      fedsynth benchmark large --rows 100000 --rows 10000000
    """
    import json
    from dataclasses import asdict

    from fedsynth_simulations.benchmarks.large import run as measure

    if file_format not in {"csv", "parquet"}:
        raise InputError(f"--format {file_format!r}: expected csv or parquet")
    for count in rows or [100_000, 1_000_000]:
        figures = measure(count, columns, f".{file_format}", scratch)
        typer.echo(json.dumps(asdict(figures)) if as_json else figures.line)


@app.command("sampling")
def sampling_speed(
    generator: Annotated[Path, typer.Argument(help="Folder of a finished generator.")],
    rows: Annotated[int, typer.Option(min=1000, help="Records to draw.")] = 1_000_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Records per second to Parquet, beside independent columns, and peak memory.

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
    sites: Annotated[int, typer.Option(min=1, max=4, help="Hospitals.")] = 2,
    messages: Annotated[
        int, typer.Option(min=1, help="Adversarial messages; a study's default is 24.")
    ] = 24,
    empty: Annotated[int, typer.Option(min=1, help="Exchanges of the empty app.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Seconds and bytes per exchange of a study over a real SuperLink, beside an empty Flower app.

    For example:

      fedsynth benchmark overhead --sites 2
    """
    import json
    from dataclasses import asdict

    from fedsynth_simulations.benchmarks.overhead import measure_overhead

    found = measure_overhead(sites, messages, empty)
    if as_json:
        ratios = {"time_ratio": found.time_ratio, "bytes_ratio": found.bytes_ratio}
        typer.echo(json.dumps(asdict(found) | ratios))
        return
    for name, run in (("empty app", found.empty), ("study", found.study)):
        typer.echo(f"{name:10} {run.seconds:8.2f} s {run.bytes:12,.0f} bytes per message and site")
    typer.echo(f"{'ratio':10} {found.time_ratio:8.2f}   {found.bytes_ratio:12.2f}")
    typer.echo(
        f"{found.study.messages} messages per site in the study; {found.body_bytes:,.0f} bytes of one "
        "are its own, the rest is Flower's"
    )


@app.command("external-env")
def external_env(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")] = Path(
        ".benchmark-env"
    ),
    networks: Annotated[
        bool,
        typer.Option("--networks", help="That of ctgan and argn-dp, DIR-networks (torch; 2 GB)."),
    ] = False,
) -> None:
    """Build the environment that the rows mst and aim run in (mbi and jax; about 700 MB)."""
    from fedsynth_simulations.benchmarks import external

    built = Path(external.External(str(folder)).networks.folder) if networks else folder
    external.build_environment(built, networks=networks)
    typer.echo(f"built {built}; use it with --external-env {folder}")


@app.command("cross-check-env")
def cross_check_env(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A new folder.")] = Path(
        ".cross-check-env"
    ),
) -> None:
    """Build the environment of `cross-check` (SDMetrics and Anonymeter; about 700 MB)."""
    from fedsynth_simulations.benchmarks.cross_check import build_environment

    build_environment(folder)
    typer.echo(f"built {folder}; use it with --env {folder}")


@app.command("cross-check")
def cross_check(
    table: Annotated[str, typer.Argument(help="A known table or a table file.")] = "adult",
    data: DataFolder = None,
    env: Annotated[Path, typer.Option(help="Environment from `cross-check-env`.")] = Path(
        ".cross-check-env"
    ),
    rows: Annotated[int, typer.Option(min=200, help="Rows of either side.")] = 1500,
    attacks: Annotated[int, typer.Option(min=50, help="Targets or predicates per attack.")] = 500,
) -> None:
    """Compare figures and attacks with SDMetrics 0.32 and Anonymeter 1.1 on the same cells.

    For example:

      fedsynth benchmark cross-check adult --env .cross-check-env
    """
    from rich.table import Table

    from fedsynth_common.errors import FedsynthError
    from fedsynth_simulations.benchmarks.cross_check import cross_check as compare
    from fedsynth_simulations.benchmarks.report import console
    from fedsynth_simulations.benchmarks.tables import find, load

    found = compare(load(find(table, data, None, False)), env, rows, attacks)
    shown = Table("library", "figure", "ours", "theirs", "allowed", "agrees")
    for row in found:
        figures = (f"{row.ours:.6f}", f"{row.theirs:.6f}", f"{row.allowed:.1e}")
        shown.add_row(row.library, row.figure, *figures, "yes" if row.agrees else "NO")
    console().print(shown)
    wrong = sum(not row.agrees for row in found)
    if wrong:
        raise FedsynthError(f"{wrong} of {len(found)} figures do not agree")


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
