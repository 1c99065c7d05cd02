"""What every attack works on: who is in, who is out, and how tables become numbers.

*Members* are the real training rows, *controls* the held-out rows of the same population. An attack
that says more about a member than about a control has learnt it from the published table: whatever
follows from the population alone works as well on controls (Giomi et al. 2023, section 3). The
difference of the two success rates is the **advantage**; it is 0 for an ideal table, whatever the
attack, and at most (e^ε - 1 + 2δ)/(e^ε + 1) for an (ε, δ)-DP table and an attack on membership.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.discretise import named_levels
from fedsynth_release.evaluation.features import Features, Floats
from fedsynth_release.evaluation.gower import Bools
from fedsynth_release.evaluation.intervals import difference, rate, widened
from fedsynth_release.evaluation.results import AttackedTable, TableRole


@dataclass(frozen=True)
class Sides:
    """Members, controls, and the claim they are tested against.

    Attributes:
        features: turns a table into cells (n x d floats, level codes, NaN = missing).
        members: cells of the training rows.
        controls: cells of the held-out rows.
        attempts: targets or predicates per attack at most.
        seed: of the choice of targets and predicates.
        epsilon, delta: claimed privacy, or None.
    """

    features: Features
    members: Floats
    controls: Floats
    attempts: int
    seed: int = 0
    epsilon: float | None = None
    delta: float | None = None

    @classmethod
    def of(
        cls,
        train: pd.DataFrame,
        holdout: pd.DataFrame,
        schema: Schema,
        *,
        attempts: int = 2000,
        seed: int = 0,
        epsilon: float | None = None,
        delta: float | None = None,
    ) -> "Sides":
        """Encode both sides."""
        features = Features.fit(schema, train)
        members, controls = features.cells(train), features.cells(holdout)
        return cls(features, members, controls, attempts, seed, epsilon, delta)

    @property
    def categorical(self) -> Bools:
        """Columns whose cells are level codes."""
        return np.array([bool(named_levels(column)) for column in self.features.columns])

    def rng(self) -> np.random.Generator:
        """The same stream for every attack and table, so that all meet the same targets."""
        return np.random.default_rng(self.seed)

    def targets(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Equally many members and controls, at most `attempts` each."""
        size = min(self.attempts, len(self.members), len(self.controls))
        return tuple(  # type: ignore[return-value]
            side[rng.choice(len(side), size=size, replace=False)]
            for side in (self.members, self.controls)
        )


AttackFunction = Callable[[Floats, Sides, TableRole], AttackedTable]
"""Attack the cells of a published table."""


def attacked(
    role: TableRole,
    successes: float,
    attacks: int,
    control_successes: float,
    controls: int,
    baseline: float | None = None,
    scale: float = 1.0,
    deviations: tuple[float, float] = (0.0, 0.0),
) -> AttackedTable:
    """The result of an attack that counts successes on both sides; see `AttackedTable`.

    `deviations` are standard errors of the two rates beyond those of independent attempts.
    """
    success = widened(rate(successes, attacks), deviations[0])
    control = widened(rate(control_successes, controls), deviations[1])
    advantage = difference(success, control, scale)
    return AttackedTable(
        role=role,
        success=success,
        control=control,
        advantage=advantage,
        scale=scale,
        baseline=baseline,
        attacks=attacks,
        controls=controls,
        flagged=advantage.low > 0,
    )
