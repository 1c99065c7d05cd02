"""Compares the lights of a report without real records with those of a report with a hold-out.

Both reports are about the same generator. The first is what may be published; the second is what its
makers see at a site. The published one must not be greener: a column that it calls good must not be
poor in the other one. Its scores should also rank columns as the other one does.

A column that the published report calls *unknown* has no score that anybody should rely on, so that
the rank agreement (Spearman's rank correlation) is that of the columns that it rates.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.evaluate_table import evaluate_table
from fedsynth_release.evaluation.references import independent_columns
from fedsynth_release.evaluation.result_parts import TableRole
from fedsynth_release.evaluation.table_fidelity import table_fidelity
from fedsynth_release.generator import Generator
from fedsynth_release.generator_files import MEASUREMENTS
from fedsynth_release.measurements import Measurements
from fedsynth_release.report.verdicts import Verdict, counts, found_verdicts, verdicts_of
from fedsynth_server.study.planning import Choice
from fedsynth_simulations.benchmarks.study_rows import frames_of
from fedsynth_simulations.benchmarks.tables import Source, load
from fedsynth_simulations.demo_data import HOSPITAL, PERSON, demo_histories, demo_table
from fedsynth_simulations.holdout import person_split
from fedsynth_simulations.simulate import Simulation, quick, simulate

DEMO = "demo"
"""The persons of `fedsynth demo`, which come with the software."""


@dataclass(frozen=True)
class Held:
    """A table with its hold-out, and the records of each site."""

    name: str
    train: pd.DataFrame
    test: pd.DataFrame
    schema: Schema
    frames: dict[str, pd.DataFrame]


@dataclass(frozen=True)
class Agreement:
    """How well the two reports of one generator agree.

    Attributes:
        table, epsilon, seed: which generator.
        published, internal: the verdicts of the two reports, column by column.
    """

    table: str
    epsilon: float
    seed: int
    published: tuple[Verdict, ...]
    internal: tuple[Verdict, ...]

    @property
    def good_but_poor(self) -> list[str]:
        """Columns that the published report calls good and the internal one poor."""
        pairs = zip(self.published, self.internal, strict=True)
        return [p.name for p, i in pairs if p.light == "good" and i.light == "poor"]

    @property
    def rated(self) -> list[tuple[float, float]]:
        """Both scores of each column that the published report rates."""
        return [
            (p.score, i.score)
            for p, i in zip(self.published, self.internal, strict=True)
            if p.light != "unknown" and p.score is not None and i.score is not None
        ]

    def to_dict(self) -> dict[str, object]:
        """The figures by name."""
        return {
            "table": self.table,
            "epsilon": self.epsilon,
            "seed": self.seed,
            "columns": len(self.published),
            "published": counts(self.published),
            "internal": counts(self.internal),
            "good_but_poor": self.good_but_poor,
            "rank_agreement": rank_agreement([self]),
        }


def rank_agreement(agreements: Sequence[Agreement]) -> float | None:
    """Spearman's rank correlation over the rated columns of all; None of fewer than three."""
    scores = np.array([pair for one in agreements for pair in one.rated]).reshape(-1, 2)
    if len(scores) < 3 or np.ptp(scores, axis=0).min() == 0:
        return None
    return float(spearmanr(scores[:, 0], scores[:, 1]).statistic)


def held_table(source: Source | None, sites: int, seed: int) -> Held:
    """A table of the benchmark, dealt out to sites; None stands for the demo and its hospitals."""
    if source is None:
        train, test = person_split(demo_table(), PERSON)
        frames = {str(name): rows.drop(columns=HOSPITAL) for name, rows in train.groupby(HOSPITAL)}
        pooled = pd.concat(frames.values(), ignore_index=True)
        return Held(DEMO, pooled, test.drop(columns=HOSPITAL), demo_histories(), frames)
    table = load(source)
    frames = frames_of(table, sites, "iid", seed)
    return Held(source.name, table.train, table.test, table.schema, frames)


def agreements(
    held: Held,
    epsilons: Sequence[float],
    seed: int,
    variant: Choice,
    fast: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Agreement]:
    """Train a generator for each ε, and compare its two reports."""
    for epsilon in epsilons:
        say(f"{held.name} at ε = {epsilon:g}")
        settings = Simulation().settings.model_copy(update={"seed": seed})
        simulation = Simulation(epsilon=epsilon, variant=variant, settings=settings, seed=seed)
        simulation = quick(simulation) if fast else simulation
        with TemporaryDirectory(prefix="fedsynth-lights-") as folder:
            result = simulate(held.frames, held.schema, simulation, Path(folder))
            measured = Measurements.load(Path(folder) / "generator" / MEASUREMENTS)
        published = verdicts_of(result.generator, None, measured)
        internal = internal_verdicts(result.generator, held, result.rows, seed)
        yield Agreement(held.name, epsilon, seed, tuple(published), tuple(internal))


def internal_verdicts(generator: Generator, held: Held, rows: int, seed: int) -> list[Verdict]:
    """The verdicts of the report with a hold-out; of records without the detector, which sets none."""
    synthetic = generator.sample(rows, seed)
    if held.schema.histories is not None:
        tables = held.train, held.test, synthetic
        evaluation = evaluate_table(*tables, held.schema, quick=True, attacks=False)
        return verdicts_of(generator, evaluation, None)
    floor = independent_columns(held.train, len(held.train), np.random.default_rng(seed))
    tables_by_role: dict[TableRole, pd.DataFrame] = {
        "synthetic": synthetic,
        "hold-out": held.test,
        "independent": floor,
    }
    fidelity = table_fidelity(held.train, tables_by_role, held.schema, detection_rows=None)
    return found_verdicts(generator, fidelity)
