"""`fedsynth demo` runs a complete study on a real table of histories, in about two minutes.

Four hospitals share the records of the RAND Health Insurance Experiment (`demo_data`): persons who took
part for up to five years. A fifth of the persons is held out; no hospital has their records. A checksum
of a person's own number decides who is held out. The vaults, ledgers and couriers are the real ones and
run in this process, and the noise comes from the operating system. The privacy unit is a person with
all years.

Afterwards the command compares the generator's persons with the real ones. Plain figures are compared
with those of the hospitals' persons. Models learn from synthetic persons to predict what happens to a
person in the next year, and are tested on the persons who were held out. Real years that were dealt to
persons at random are the floor, which is all that a generator of single years could give. The
comparison reads real rows and is not private. Only the people who may see the rows may see it on the
terminal and in `demo.json`, which only its owner may read.
"""

import math
import shutil
import tempfile
from datetime import date
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

DELTA = 1e-5
PEOPLE_PER_HOSPITAL = 1_000
"""Declared size of the plan: from what is published of the experiment, not from the rows."""
SUMMARY = "demo.json"
"""The results of a demo. A later run replaces a folder only if this file is in it."""

QUALITY = {
    "next_target_auc": ("admission next year, AUC", "higher"),
    "next_auc": ("columns of next year, mean AUC", "higher"),
    "static": ("distance: a person's columns", "lower"),
    "within_event": ("distance: columns of a year", "lower"),
    "lag_1_itself": ("distance: a year and the next", "lower"),
}
FLOOR = "dealt"
"""Real years that were dealt to persons at random."""


@app.command(epilog="Examples:\n\nfedsynth demo\n\nfedsynth demo --epsilon 1 --out demo-1")
def demo(
    out: Annotated[
        Path, typer.Option(help="Folder for the result. The result of an earlier demo is replaced.")
    ] = Path("demo-out"),
    epsilon: Annotated[
        float, typer.Option(help="The privacy budget ε of a person with all years.")
    ] = 3.0,
    device: Annotated[DeviceName, typer.Option(help=DEVICE_HELP)] = DeviceName.CPU,
    quick: Annotated[
        bool, typer.Option(help="Train for few steps only, to test the set-up. The result is poor.")
    ] = False,
) -> None:
    """Train one generator of persons over four hospitals and compare it with the real persons.

    The persons are those of the RAND Health Insurance Experiment, which come with the software.
    """
    import pandas as pd

    from fedsynth_release.report import write_report
    from fedsynth_release.table_writer import write_table
    from fedsynth_server.training.settings import TrainingSettings

    # imported here so that --help does not load torch and Flower
    from fedsynth_simulations import simulate as simulations
    from fedsynth_simulations.closed_file import write_closed
    from fedsynth_simulations.demo_data import HOSPITAL, PERSON, demo_histories, demo_table

    _check_out(out)
    table, schema = demo_table(), demo_histories()
    held = table[PERSON].map(_held_out).to_numpy()
    train, test = (table[rows].reset_index(drop=True) for rows in (~held, held))
    hospitals = {str(name): rows for name, rows in train.groupby(HOSPITAL)}
    frames = {name: rows.drop(columns=HOSPITAL) for name, rows in hospitals.items()}
    simulation = simulations.Simulation(
        epsilon=epsilon,
        delta=DELTA,
        study="demo",
        settings=TrainingSettings.on(device.value),
        records_per_site=PEOPLE_PER_HOSPITAL,
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
        report = draft / "report.html"
        write_report(draft / "generator", report, history=result.history, written_on=date.today())
        write_closed(draft / SUMMARY, summary)
        if out.exists():
            shutil.rmtree(out)
        draft.replace(out)
    _show(console, summary)
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
    """Figures and quality of the real persons, of the synthetic ones and of the floor."""
    import numpy as np

    from fedsynth_release.evaluation.histories.references import dealt
    from fedsynth_release.evaluation.histories.scorecard import HistoryJudge
    from fedsynth_simulations.demo_figures import FIGURES

    floor = dealt(pooled, schema, np.random.default_rng(1))
    tables = {"real": pooled, "synthetic": synthetic, FLOOR: floor}
    judge = HistoryJudge.of(pooled, held, schema)
    asked = {"real": None, "synthetic": synthetic, FLOOR: floor}
    return {
        "figures": {f.name: {name: f.of(rows) for name, rows in tables.items()} for f in FIGURES},
        "quality": {name: judge.figures(rows) for name, rows in asked.items()},
    }


def _privacy(generator: "Generator") -> dict[str, dict[str, float | None]]:
    """What each hospital was charged."""
    return {s.site: {"epsilon": s.epsilon, "delta": s.delta} for s in generator.statement.sites}


def _introduce(console: Console, frames: "dict[str, pd.DataFrame]", test: "pd.DataFrame") -> None:
    from fedsynth_simulations.demo_data import PERSON

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


def _show(console: Console, summary: dict[str, Any]) -> None:
    from fedsynth_simulations.demo_figures import FIGURES

    digits = {figure.name: figure.digits for figure in FIGURES}
    figures = Table("figure", "real", "synthetic", FLOOR, title="What the records say")
    for name, row in summary["figures"].items():
        figures.add_row(name, *(_cell(row[table], digits[name]) for table in row))
    quality = Table("quality", "real", "synthetic", FLOOR, "better", title="How well models learn")
    for key, (name, better) in QUALITY.items():
        quality.add_row(name, *(_cell(row[key], 3) for row in summary["quality"].values()), better)
    for table in (figures, quality):
        for column in table.columns[1:4]:
            column.justify = "right"
        console.print(table)
    console.print(
        "Dealt: the real years, dealt to persons at random. No generator of single years can know more "
        "of what follows what."
    )
    console.print(
        "The noise changes most what few people contribute to: small groups, and means that a few "
        "large values decide (mean visits)."
    )
    costs = summary["privacy"].values()
    highest = max(cost["epsilon"] or 0.0 for cost in costs)
    console.print(
        f"Privacy: at each hospital, ε = {highest:.4f} at δ = {DELTA:g} protects one person, with all "
        "years of that person, against everyone outside the hospital. Every person is at one hospital "
        "only, so the ε of the four hospitals do not add up.",
        highlight=False,
    )


def _cell(value: float | None, digits: int) -> str:
    return "-" if value is None or math.isnan(value) else f"{value:.{digits}f}"


def _point_to(console: Console, out: Path) -> None:
    console.print(
        f"\n{out}/synthetic.csv       artificial persons, a row a year\n"
        f"{out}/generator/          the generator; to draw more persons: fedsynth sample "
        f"{out}/generator --rows 100000 --out more.parquet\n"
        f"{out}/report.html         open it in a browser: persons, which columns to trust, limits\n"
        f"{out}/generator/MODEL_CARD.md, privacy_statement.json   what is promised, and why it holds\n"
        f"{out}/randhie.csv, schema.json   the real table, to try fedsynth simulate with",
        highlight=False,
        soft_wrap=True,
    )
