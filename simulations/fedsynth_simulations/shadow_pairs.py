"""Attacks the membership of one chosen record, with many generators trained with and without it.

The attack on average people (`evaluation.attacks.membership`) says little about a record that
differs from all others. Here the target is such an outlier. The attacker knows everything except
whether the target was used: all other training records D, the method and the target itself.
Generators are trained on D and on D + target, each with new randomness (shadow models, Stadler et
al. 2022; the game of TAPAS, Houssiau et al. 2022). `shadow_features` describes a table of each
generator. A random forest learns on one half of the tables to tell D from D + target, and is tested
on the other half. This is the experiment that defines (ε, δ)-DP. For an (ε, δ)-DP generator no
attack has TPR > e^ε FPR + δ, and no advantage exceeds (e^ε - 1 + 2δ) / (e^ε + 1) (Humphries et al.
2023).

The attack needs 2 x pairs trainings, so use a small table and a fast factory. With 50 pairs it can
prove an ε of at most about 2. A small `epsilon_lower` therefore does not prove that there is no
leak. A small advantage does not prove it either, unless the same attack succeeds on the same
generator at a large ε.
"""

import io
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from rich.console import Console
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

from fedsynth_common.array_types import Float64Array, Int64Array
from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.attack_results import Attack, AttackedTable
from fedsynth_release.evaluation.attacks.attack_setup import attacked
from fedsynth_release.evaluation.features import Features
from fedsynth_release.evaluation.gower import Gower
from fedsynth_release.evaluation.intervals import area, clopper_pearson
from fedsynth_release.evaluation.result_parts import TableRole
from fedsynth_simulations.shadow_features import Description, categorical

if TYPE_CHECKING:
    from fedsynth_simulations.simulate import Simulation

Factory = Callable[[pd.DataFrame, int], pd.DataFrame]
"""A function that makes a synthetic table from records; all its randomness comes from the seed."""

NAME = "shadow-pairs"
TITLE = "Membership of a worst-case record (shadow pairs)"
DEFINITION = (
    "The attacker knows the method, all other training records and one outlier, the target. The "
    "attacker trains generators with and without the target and learns to tell their tables apart. "
    "The attack succeeds if a table made with the target is recognised. The control is how often a "
    "table made without the target is mistaken for one made with it."
)
SOURCE = "Stadler et al. 2022, arXiv 2011.07018; Houssiau et al. 2022 (TAPAS), arXiv 2211.06550"

_MIN_PAIRS = 8


@dataclass(frozen=True)
class Game:
    """The attacker's experiment, which is the same for every factory.

    Attributes:
        base: the records of everybody except the target.
        target: the record of the target (the outlier), one row.
        schema: the public schema of both.
        pairs: the number of generators with the target, and of those without it. The attacker
            learns on half of them.
        seed: the seed of the attacker and of the seeds for the factories.
    """

    base: pd.DataFrame
    target: pd.DataFrame
    schema: Schema
    pairs: int = 50
    seed: int = 0

    def __post_init__(self) -> None:
        if self.pairs < _MIN_PAIRS or len(self.target) != 1:
            raise InputError(f"shadow pairs need one target row and at least {_MIN_PAIRS} pairs")


def outlier(frame: pd.DataFrame, schema: Schema) -> int:
    """The number of the row whose nearest other row is farthest away."""
    features = Features.fit(schema, frame)
    cells = features.cells(frame)
    space = Gower.fit(cells, categorical(features), "rank")
    rows = np.arange(len(cells))
    gaps = [space.nearest(cells[[row]], cells[rows != row])[0][0] for row in rows]
    return int(np.argmax(gaps))


def play(
    game: Game,
    factory: Factory,
    role: TableRole = "synthetic",
    say: Callable[[str], None] = lambda _: None,
) -> AttackedTable:
    """Train all generators of a game, attack them, and compute a lower bound of ε."""
    describe = Description(game.schema, game.base, game.target, game.seed)
    inside = pd.concat([game.base, game.target], ignore_index=True)
    tables = []
    for pair in range(game.pairs):
        say(f"shadow pairs: {pair + 1} of {game.pairs}")
        seed = 1_000_003 * game.seed + 2 * pair
        for frame, offset in ((game.base, 0), (inside, 1)):
            tables.append(describe(factory(frame, seed + offset)))
    described = np.array(tables)
    truth = np.tile([0, 1], game.pairs)
    taught = np.arange(len(truth)) < 2 * (game.pairs // 2)
    forest = RandomForestClassifier(n_estimators=200, random_state=game.seed)
    forest.fit(described[taught], truth[taught])
    scores = forest.predict_proba(described[~taught])[:, 1]
    return _result(role, scores, truth[~taught])


def attack(tables: tuple[AttackedTable, ...]) -> Attack:
    """The games on several factories as one attack of an `Evaluation`."""
    return Attack(name=NAME, title=TITLE, definition=DEFINITION, source=SOURCE, tables=tables)


def study_factory(
    schema: Schema,
    simulation: "Simulation | None" = None,
    *,
    sites: int = 2,
    rows: int | None = None,
) -> Factory:
    """A factory that runs a complete small study in this process for every table.

    Args:
        schema: the public schema of the records.
        simulation: ε, δ, variant, rounds and training settings; by default ε = 1 and the variant
            `marginals`. Its seed is replaced by that of the game.
        sites: the number of sites; the records are dealt out to them anew each time.
        rows: the rows of each table; by default as many as there are records.
    """
    from fedsynth_server.progress import StudyProgress
    from fedsynth_server.study.export import export
    from fedsynth_server.study.study import Study
    from fedsynth_simulations.federation import in_process
    from fedsynth_simulations.partition import partition
    from fedsynth_simulations.simulate import Simulation, simulation_plan

    usual = simulation or Simulation(variant="marginals")
    silent = Console(file=io.StringIO())

    def make(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
        frames = partition(frame, sites, "iid", np.random.default_rng(seed))
        plan = simulation_plan(frames, schema, replace(usual, seed=seed))
        outcome = Study(
            plan, usual.settings, in_process(frames, plan, seed), StudyProgress(silent)
        ).run()
        with tempfile.TemporaryDirectory(prefix="fedsynth-shadow-") as folder:
            generator = export(plan, outcome, Path(folder, "generator"))
            return generator.sample(rows or len(frame), seed=seed)

    return make


def _result(role: TableRole, scores: Float64Array, truth: Int64Array) -> AttackedTable:
    guesses = scores > 0.5
    inside, outside = guesses[truth == 1], guesses[truth == 0]
    recognised, mistaken = int(inside.sum()), int(outside.sum())
    low = clopper_pearson(recognised, len(inside))[0]
    high = clopper_pearson(mistaken, len(outside))[1]
    result = attacked(role, recognised, len(inside), mistaken, len(outside), baseline=0.5)
    auc = float(roc_auc_score(truth, scores))
    return result.model_copy(
        update={
            "auc": area(auc, len(inside), len(outside)),
            "epsilon_lower": max(math.log(low / high), 0.0) if low > 0 else 0.0,
        }
    )
