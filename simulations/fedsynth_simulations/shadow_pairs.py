"""Membership of one chosen record, by many small generators trained with it and without it.

The attack on average people (`evaluation.attacks.membership`) says little about the one record that
stands out. Here the attacker knows everything but one bit: all other training records, the method,
and the target, an outlier chosen to be easy. Generators are trained on D and on D + target (shadow
models, Stadler et al. 2022; the game of TAPAS, Houssiau et al. 2022), each with fresh randomness; a
table of each is described by `shadow_features`, a random forest learns on one half of the tables to
tell D from D + target, and is tested on the other, table by table. This is (ε, δ)-DP's own
experiment: for an (ε, δ)-DP generator no attack has TPR > e^ε FPR + δ, and no advantage exceeds
(e^ε - 1 + 2δ) / (e^ε + 1) (Humphries et al. 2023).

Costs 2 x pairs trainings; give it a small table and a fast factory. With 50 pairs the largest ε that
can be shown is about 2: a small `epsilon_lower` proves nothing about the absence of a leak. Nor does a
small advantage, unless the same attack finds something on the same generator at a large ε.
"""

import io
import math
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from rich.console import Console
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import roc_auc_score

from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.attacks.sides import attacked
from fedsynth_release.evaluation.features import Features
from fedsynth_release.evaluation.gower import Gower
from fedsynth_release.evaluation.intervals import area, clopper_pearson
from fedsynth_release.evaluation.results import Attack, AttackedTable, TableRole
from fedsynth_simulations.shadow_features import Description, categorical

if TYPE_CHECKING:
    from fedsynth_simulations.simulate import Simulation

Factory = Callable[[pd.DataFrame, int], pd.DataFrame]
"""Makes a synthetic table from records and a seed; the seed must change all its randomness."""

NAME = "shadow-pairs"
TITLE = "Membership of a worst-case record (shadow pairs)"
DEFINITION = (
    "Knows all training records but one, the method, and that one outlier; trains generators with "
    "and without it and learns to tell their tables apart. Success: a table made with the record "
    "is recognised. Control: a table made without it is mistaken for one."
)
SOURCE = "Stadler et al. 2022, arXiv 2011.07018; Houssiau et al. 2022 (TAPAS), arXiv 2211.06550"

_MIN_PAIRS = 8


@dataclass(frozen=True)
class Game:
    """The attacker's experiment, the same for every factory.

    Attributes:
        base: records of everybody but the target.
        target: one row, the outlier.
        schema: public schema of both.
        pairs: generators with, and as many without, the target; half of them teach.
        seed: of the attacker and of the factories' seeds.
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
    """Number of the row that is farthest from its nearest other row."""
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
    """Train all generators of a game, attack them, and bound ε from below."""
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
    """Games on several factories as one attack of an `Evaluation`."""
    return Attack(name=NAME, title=TITLE, definition=DEFINITION, source=SOURCE, tables=tables)


def study_factory(
    schema: Schema,
    simulation: "Simulation | None" = None,
    *,
    sites: int = 2,
    rows: int | None = None,
) -> Factory:
    """Small in-process studies, vaults and all, as a factory.

    Args:
        schema: public schema of the records.
        simulation: ε, δ, variant, rounds and training settings; default: ε = 1, marginals alone. The
            seed is the game's.
        sites: that the records are dealt out to, anew each time.
        rows: of a table; default: as many as records. A generator gives any number away.
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


def _result(
    role: TableRole, scores: npt.NDArray[np.float64], truth: npt.NDArray[np.int64]
) -> AttackedTable:
    said = scores > 0.5
    inside, outside = said[truth == 1], said[truth == 0]
    won, lost = int(inside.sum()), int(outside.sum())
    low = clopper_pearson(won, len(inside))[0]
    high = clopper_pearson(lost, len(outside))[1]
    found = attacked(role, won, len(inside), lost, len(outside), baseline=0.5)
    auc = float(roc_auc_score(truth, scores))
    return found.model_copy(
        update={
            "auc": area(auc, len(inside), len(outside)),
            "epsilon_lower": max(math.log(low / high), 0.0) if low > 0 else 0.0,
        }
    )
