"""What refreshes are worth: cohort after cohort at a small ε, against one study and against none before.

The table is cut into cohorts of equal size by the order of a column. All figures are about the newest
cohort, of which a fifth is held out. The unit is one record, so that no record is charged more than the
ε of its row. The schema is drafted from the training rows, as in the whole benchmark.

| row | what it has |
|---|---|
| real | the training rows of the newest cohort: the ceiling |
| refreshed | a study of each cohort at ε, each built on the one before |
| newest alone | a study of the newest cohort at ε |
| pooled | one study of all cohorts together at the pooled ε |
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema
from fedsynth_common.tables import as_number, read_table
from fedsynth_release.drafting.draft import draft_schema
from fedsynth_release.evaluation import evaluate
from fedsynth_server.refresh import HALF_LIFE
from fedsynth_server.study.planning import Choice
from fedsynth_simulations.benchmarks.tables import Source
from fedsynth_simulations.holdout import split_table
from fedsynth_simulations.partition import partition
from fedsynth_simulations.simulate import Simulation, quick, simulate
from fedsynth_simulations.stream import (
    ORDER,
    equal_cohorts,
    stream,
    with_cohorts_of,
    with_numbers,
)


@dataclass(frozen=True)
class Wanted:
    """What is compared; `half_life` is in cohorts."""

    source: Source
    order: str | None
    cohorts: int = 8
    epsilon: float = 0.5
    pooled_epsilon: float = 2.0
    sites: int = 5
    half_life: float = HALF_LIFE
    variant: Choice = "marginals"
    seed: int = 0
    quick: bool = False


@dataclass(frozen=True)
class Compared:
    """One row of the comparison."""

    row: str
    epsilon: float | None
    seed: int
    tvd_2: float
    mean_auc: float
    drifts: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Table:
    """All training rows in order with their cohorts, and the newest cohort's training and test rows."""

    rows: pd.DataFrame
    cut: Schema
    plain: Schema
    newest: pd.DataFrame
    test: pd.DataFrame


def compare(wanted: Wanted, say: Callable[[str], None] = lambda _: None) -> Iterator[Compared]:
    """The rows of the comparison, each as soon as it is there."""
    table = _table(wanted)

    def row(
        name: str, made: pd.DataFrame, epsilon: float | None, drifts: Sequence[str] = ()
    ) -> Compared:
        figures = evaluate(table.newest, table.test, made, table.plain).to_dict()
        auc, distance = figures["mean_auc"] or 0.0, figures["tvd_2"] or 0.0
        return Compared(name, epsilon, wanted.seed, distance, auc, tuple(drifts))

    yield row("real", table.newest, None)
    say("newest alone")
    yield row("newest alone", _once(wanted, table, table.newest, wanted.epsilon), wanted.epsilon)
    say("pooled")
    everything = table.rows.drop(columns=ORDER)
    epsilon = wanted.pooled_epsilon
    yield row("pooled", _once(wanted, table, everything, epsilon), epsilon)
    drifts: list[str] = []
    yield row("refreshed", _refreshed(wanted, table, drifts, say), wanted.epsilon, drifts)


def _table(wanted: Wanted) -> _Table:
    frame = read_table(wanted.source.path)
    if wanted.order is not None:
        if wanted.order not in frame.columns:
            raise InputError(f"--order {wanted.order}: no such column in {wanted.source.path}")
        frame = frame.iloc[np.argsort(as_number(frame[wanted.order]), kind="stable")]
    frame = frame.reset_index(drop=True)
    size = len(frame) // wanted.cohorts
    newest, test = split_table(frame.iloc[len(frame) - size :].reset_index(drop=True))
    # as many rows in the newest cohort as are not held out, so that cohorts are cut by counts
    earlier = frame.iloc[: len(frame) - size]
    rows = pd.concat([earlier, newest], ignore_index=True)
    plain = draft_schema(rows, "table", wanted.source.target)
    number = np.concatenate(
        [equal_cohorts(len(earlier), wanted.cohorts - 1), np.full(len(newest), wanted.cohorts)]
    )
    return _Table(with_cohorts_of(rows, number), with_numbers(plain), plain, newest, test)


def _simulation(wanted: Wanted, epsilon: float) -> Simulation:
    usual = Simulation()
    settings = usual.settings.model_copy(update={"seed": wanted.seed})
    made = replace(
        usual, epsilon=epsilon, variant=wanted.variant, settings=settings, seed=wanted.seed
    )
    return quick(made) if wanted.quick else made


def _dealt(wanted: Wanted, frame: pd.DataFrame) -> Mapping[str, pd.DataFrame]:
    rng = np.random.default_rng(wanted.seed)
    return partition(frame, wanted.sites, "iid", rng, target=wanted.source.target)


def _once(wanted: Wanted, table: _Table, rows: pd.DataFrame, epsilon: float) -> pd.DataFrame:
    with TemporaryDirectory(prefix="fedsynth-benchmark-") as folder:
        frames = _dealt(wanted, rows)
        simulation = _simulation(wanted, epsilon)
        result = simulate(frames, table.plain, simulation, Path(folder))
        return result.generator.sample(len(table.newest), wanted.seed)


def _refreshed(
    wanted: Wanted, table: _Table, drifts: list[str], say: Callable[[str], None]
) -> pd.DataFrame:
    with TemporaryDirectory(prefix="fedsynth-benchmark-") as folder:
        frames = _dealt(wanted, table.rows)
        simulation = _simulation(wanted, wanted.epsilon)
        generator = None
        for step in stream(frames, table.cut, simulation, Path(folder), wanted.half_life):
            say(f"cohort {step.cohort} of {wanted.cohorts}")
            generator = step.generator
            if found := step.outcome.drift:
                drifts.append(f"{step.cohort}: {len(found.changed)} + {len(found.pairs)}")
        if generator is None:
            raise InputError("the table has no cohorts")
        return generator.sample(len(table.newest), wanted.seed)
