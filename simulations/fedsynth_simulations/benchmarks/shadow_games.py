"""Prepares `fedsynth benchmark shadow`: the records, the target and the studies.

The records are drawn from the train rows of a benchmark table. The schema is drafted from all of
these rows. It is the same for every generator of a game, with the target and without it, so it
reveals nothing about the target. The target is the record whose nearest other record is farthest
away. Trainings are short by default, because what is computed after the noise was added is
post-processing and does not change the guarantee.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from fedsynth_common.errors import InputError
from fedsynth_release.drafting.draft import draft_schema
from fedsynth_server.study.planning import Choice, Rounds
from fedsynth_server.training.settings import TrainingSettings
from fedsynth_simulations.benchmarks.tables import BenchmarkTable
from fedsynth_simulations.shadow_pairs import Factory, Game, outlier, study_factory
from fedsynth_simulations.simulate import Simulation, quick, simulation_plan

MIN_RECORDS = 50
Training = Literal["short", "full", "quick"]
SHORT = TrainingSettings(
    latents=1024, fit_steps=150, network_steps=150, adversarial_steps=3, adversarial_batch=512
)
SHORT_ROUNDS = Rounds(messages=4, steps_per_message=6, sampling_rate=0.4)
"""Large batches, so that a discriminator can learn something from so few records."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is played.

    Attributes:
        records: of the game, the target among them.
        columns: to model; (): all.
        epsilons: of the studies, one game each per variant.
        variants: of the studies.
        delta: of the studies.
        sites: that share the records.
        pairs: generators with, and as many without, the target; half of them teach the attacker.
        rows: of each synthetic table.
        training: "short" (`SHORT`), "full" (the product's own settings) or "quick" (a smoke test).
        seed: of records, attacker and noise.
    """

    records: int = 500
    columns: tuple[str, ...] = ()
    epsilons: tuple[float, ...] = (1.0,)
    variants: tuple[Choice, ...] = ("marginals",)
    delta: float = 1e-5
    sites: int = 1
    pairs: int = 100
    rows: int = 20_000
    training: Training = "short"
    seed: int = 0


def game_of(table: BenchmarkTable, wanted: Wanted) -> Game:
    """A game with records of the train rows, whose outlier is the target."""
    names = [column.name for column in table.schema.modelled]
    for name in wanted.columns:
        if name not in names:
            raise InputError(f"--columns: no column {name!r} in {table.schema.name}")
    if not MIN_RECORDS <= wanted.records <= len(table.train):
        raise InputError(
            f"--records {wanted.records}: expected {MIN_RECORDS} to {len(table.train)}"
        )
    columns = list(wanted.columns) or names
    rows = table.train[columns]
    schema = draft_schema(
        rows, table.schema.name, table.schema.target if table.schema.target in columns else None
    )
    chosen = np.random.default_rng(wanted.seed).permutation(len(rows))[: wanted.records]
    frame = rows.iloc[chosen].reset_index(drop=True)
    place = outlier(frame, schema)
    base = frame.drop(index=place).reset_index(drop=True)
    target = frame.iloc[[place]].reset_index(drop=True)
    return Game(base, target, schema, pairs=wanted.pairs, seed=wanted.seed)


def studies_of(game: Game, wanted: Wanted) -> list[tuple[str, float | None, Factory]]:
    """The variant, ε and factory of each study that was asked for."""
    studies: list[tuple[str, float | None, Factory]] = []
    for variant in wanted.variants:
        for epsilon in wanted.epsilons:
            simulation = _simulation(wanted, variant, epsilon)
            _check(game, simulation, wanted.sites)
            factory = study_factory(game.schema, simulation, sites=wanted.sites, rows=wanted.rows)
            studies.append((variant, epsilon, factory))
    return studies


def _simulation(wanted: Wanted, variant: Choice, epsilon: float) -> Simulation:
    usual = Simulation(epsilon=epsilon, delta=wanted.delta, variant=variant)
    if wanted.training == "full":
        return usual
    if wanted.training == "quick":
        return quick(usual)
    return replace(usual, rounds=SHORT_ROUNDS, settings=SHORT)


def _check(game: Game, simulation: Simulation, sites: int) -> None:
    """Refuse a budget that cannot be planned before hours are spent on other games."""
    frames = {f"site-{i}": game.base.iloc[i::sites] for i in range(sites)}
    simulation_plan(frames, game.schema, simulation)
