"""`fedsynth demo` runs a complete study on a real table, in about two minutes.

Four hospitals share the records of the RAND Health Insurance Experiment (`demo_data`). A fifth of
the *people* is held out; no hospital has their records. A checksum of a person's own number decides
who is held out. The vaults, ledgers and couriers are the real ones and run in this process, and the
noise comes from the operating system. Afterwards the command compares the generator's records with
the real ones. Plain figures are compared with those of the hospitals' rows, and models are tested
on the people who were held out. A table of independent columns is the floor, and the real rows are
the ceiling.

By default the privacy unit is one person-year. With `--people` it is a whole person. A hospital
then uses one row of each person, about a thousand rows. At the same ε the distance of single
columns from the real ones doubled, and models lost a tenth of their AUC. The comparison reads real
rows and is not private. Only the people who may see the rows may see it on the terminal and in
`demo.json`, which only its owner may read.
"""

import math
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zlib import crc32

import typer
from rich.console import Console
from rich.table import Table

from fedsynth_common.errors import InputError
from fedsynth_server.cli.options import DEVICE_HELP, DeviceName

if TYPE_CHECKING:
    import pandas as pd

    from fedsynth_common.schema import Schema
    from fedsynth_release.generator import Generator

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

PERSON, HOSPITAL, DELTA = "person_id", "hospital", 1e-5
ROWS_PER_HOSPITAL, PEOPLE_PER_HOSPITAL = 5_000, 1_000
"""Declared sizes of the plan: from what is published of the experiment, not from the rows."""
SUMMARY = "demo.json"
"""The results of a demo. A later run replaces a folder only if this file is in it."""

QUALITY = {
    "mean_auc": ("models of ten columns, mean AUC", "higher"),
    "target_auc_boosting": ("model of `admitted`, AUC", "higher"),
    "tvd_1": ("distance of single columns", "lower"),
    "tvd_2": ("distance of pairs of columns", "lower"),
}


@app.command(epilog="Examples:\n\nfedsynth demo\n\nfedsynth demo --epsilon 3 --out demo-3")
def demo(
    out: Annotated[
        Path, typer.Option(help="Folder for the result. The result of an earlier demo is replaced.")
    ] = Path("demo-out"),
    epsilon: Annotated[
        float, typer.Option(help="The privacy budget ε of the records of each hospital.")
    ] = 1.0,
    people: Annotated[
        bool,
        typer.Option(
            "--people",
            help="Protect whole people instead of single person-years. One row of each person is "
            "used, so the result is less accurate.",
        ),
    ] = False,
    device: Annotated[DeviceName, typer.Option(help=DEVICE_HELP)] = DeviceName.CPU,
    quick: Annotated[
        bool, typer.Option(help="Train for few steps only, to test the set-up. The result is poor.")
    ] = False,
) -> None:
    """Train one generator over four hospitals and compare its records with the real ones.

    The records are those of the RAND Health Insurance Experiment, which come with the software.
    """
    import pandas as pd

    from fedsynth_release.report import write_report
    from fedsynth_release.table_writer import write_table
    from fedsynth_server.training.settings import TrainingSettings

    # imported here so that --help does not load torch and Flower
    from fedsynth_simulations import simulate as simulations
    from fedsynth_simulations.closed_file import write_closed
    from fedsynth_simulations.demo_data import demo_schema, demo_table

    _check_out(out)
    table, schema = demo_table(), demo_schema()
    if people:
        schema = schema.model_copy(update={"person_key": PERSON, "rows_per_person": 1})
    held = table[PERSON].map(_held_out).to_numpy()
    train, test = (table[rows].reset_index(drop=True) for rows in (~held, held))
    hospitals = {str(name): rows for name, rows in train.groupby(HOSPITAL)}
    frames = {name: rows.drop(columns=HOSPITAL) for name, rows in hospitals.items()}
    simulation = simulations.Simulation(
        epsilon=epsilon,
        delta=DELTA,
        study="demo",
        variant="both",
        settings=TrainingSettings.on(device.value),
        records_per_site=PEOPLE_PER_HOSPITAL if people else ROWS_PER_HOSPITAL,
    )
    simulation = simulations.quick(simulation) if quick else simulation
    simulations.simulation_plan(frames, schema, simulation)  # refuses an impossible ε early
    console = Console()
    _introduce(console, frames, test)
    with tempfile.TemporaryDirectory(prefix=".fedsynth-", dir=_existing_parent(out)) as name:
        draft = Path(name) / "result"
        draft.mkdir()
        result = simulations.simulate(frames, schema, simulation, draft)
        console.print(f"trained in {result.seconds:.0f} s")
        pooled = pd.concat(frames.values(), ignore_index=True)
        synthetic = result.generator.sample(result.rows)
        summary: dict[str, Any] = _compare(pooled, test.drop(columns=HOSPITAL), synthetic, schema)
        summary["privacy"] = _privacy(result.generator)
        write_table(table, draft / "randhie.csv")
        schema.save(draft / "schema.json")
        write_table(synthetic, draft / "synthetic.csv")
        write_report(draft / "generator", draft / "report.html", history=result.history)
        write_closed(draft / SUMMARY, summary)
        if out.exists():
            shutil.rmtree(out)
        draft.replace(out)
    _show(console, summary, people)
    _point_to(console, out)


def _held_out(person: str) -> bool:
    """Whether a person is kept from all hospitals: a fifth, each without regard to anybody else."""
    return crc32(person.encode()) % 5 == 0


def _check_out(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: is a file; expected a folder")
    if out.is_dir() and any(out.iterdir()) and not (out / SUMMARY).is_file():
        raise InputError(
            f"--out {out}: contains other files than those of a demo; choose another folder"
        )


def _existing_parent(out: Path) -> Path:
    parent = out.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    return parent


def _compare(
    pooled: "pd.DataFrame", held: "pd.DataFrame", synthetic: "pd.DataFrame", schema: "Schema"
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Figures and quality of the real rows, of the synthetic ones and of the floor."""
    import numpy as np

    from fedsynth_release.evaluation.references import independent_columns
    from fedsynth_release.evaluation.scorecard import evaluate
    from fedsynth_simulations.demo_figures import FIGURES

    tables = {
        "real": pooled,
        "synthetic": synthetic,
        "independent": independent_columns(pooled, len(pooled), np.random.default_rng(1)),
    }
    return {
        "figures": {f.name: {name: f.of(rows) for name, rows in tables.items()} for f in FIGURES},
        "quality": {
            name: evaluate(pooled, held, rows, schema).to_dict() for name, rows in tables.items()
        },
    }


def _privacy(generator: "Generator") -> dict[str, dict[str, float | None]]:
    """What each hospital was charged."""
    return {s.site: {"epsilon": s.epsilon, "delta": s.delta} for s in generator.statement.sites}


def _introduce(console: Console, frames: "dict[str, pd.DataFrame]", test: "pd.DataFrame") -> None:
    rows = sum(len(frame) for frame in frames.values())
    people = sum(frame[PERSON].nunique() for frame in frames.values())
    console.print(
        "[bold]RAND Health Insurance Experiment[/bold], 1974-1982: "
        f"{rows:,} person-years of {people:,} people at {len(frames)} hospitals; "
        f"{test[PERSON].nunique():,} other people are held out to test the result on."
    )
    for name, frame in frames.items():
        console.print(f"  {name:<15} {len(frame):>6,} rows, {frame[PERSON].nunique():>6,} people")
    console.print("Training one generator. No row leaves its hospital ...")


def _show(console: Console, summary: dict[str, Any], people: bool) -> None:
    from fedsynth_simulations.demo_figures import FIGURES

    digits = {figure.name: figure.digits for figure in FIGURES}
    figures = Table("figure", "real", "synthetic", "independent", title="What the records say")
    for name, row in summary["figures"].items():
        figures.add_row(name, *(_cell(row[table], digits[name]) for table in row))
    quality = Table(
        "quality", "real", "synthetic", "independent", "better", title="How well models learn"
    )
    for key, (name, better) in QUALITY.items():
        quality.add_row(name, *(_cell(row[key], 3) for row in summary["quality"].values()), better)
    for table in (figures, quality):
        for column in table.columns[1:4]:
            column.justify = "right"
        console.print(table)
    console.print(
        "The noise changes most what few people contribute to: small groups, and means that a few "
        "large values decide (mean visits)."
    )
    costs = summary["privacy"].values()
    highest = max(cost["epsilon"] or 0.0 for cost in costs)
    console.print(
        f"Privacy: at each hospital, ε = {highest:.4f} at δ = {DELTA:g} protects one "
        f"{'person' if people else 'person-year'} against everyone outside the hospital. "
        f"{_UNIT[people]}",
        highlight=False,
    )


_UNIT = {
    True: "Every person is at one hospital only, so the ε of the four hospitals do not add up.",
    False: (
        "A person with five years in the table is protected less, by five times this ε (group "
        "privacy). The option --people protects whole people, but the result is less accurate."
    ),
}


def _cell(value: float | None, digits: int) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _point_to(console: Console, out: Path) -> None:
    console.print(
        f"\n{out}/synthetic.csv       artificial records\n"
        f"{out}/generator/          the generator; to draw more records: fedsynth sample "
        f"{out}/generator --rows 100000 --out more.parquet\n"
        f"{out}/report.html         open it in a browser: which columns to trust, budget, limits\n"
        f"{out}/generator/MODEL_CARD.md, privacy_statement.json   what is promised, and why it holds\n"
        f"{out}/randhie.csv, schema.json   the real table, to try fedsynth simulate with",
        highlight=False,
        soft_wrap=True,
    )
