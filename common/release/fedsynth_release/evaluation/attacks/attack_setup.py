"""What all attacks share: members, controls, and the encoding of tables as numbers.

*Members* are the real training rows, and *controls* are the held-out rows of the same population.
What follows from the population alone is learned about controls as well as about members. If an
attack succeeds more often on members than on controls, it has therefore learned something from the
published table (Giomi et al. 2023, section 3). The difference of the two success rates is the
**advantage**. For an ideal table it is 0 for every attack. For an (ε, δ)-DP table and an attack on
membership it is at most (e^ε - 1 + 2δ)/(e^ε + 1).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fedsynth_common.array_types import BoolArray, Float64Array
from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.attack_results import AttackedTable
from fedsynth_release.evaluation.discretise import named_levels
from fedsynth_release.evaluation.features import Features
from fedsynth_release.evaluation.intervals import difference, rate, widened
from fedsynth_release.evaluation.result_parts import TableRole


@dataclass(frozen=True)
class AttackSetup:
    """Members, controls, and the privacy claim that attacks test.

    Attributes:
        features: encodes a table as cells (n x d floats, codes of levels, NaN = missing).
        members: the cells of the training rows.
        controls: the cells of the held-out rows.
        attempts: the most targets or predicates of an attack.
        seed: seed for choosing targets and predicates.
        epsilon, delta: the claimed (ε, δ), or None.
    """

    features: Features
    members: Float64Array
    controls: Float64Array
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
    ) -> "AttackSetup":
        """Encode the training rows and the held-out rows."""
        features = Features.fit(schema, train)
        members, controls = features.cells(train), features.cells(holdout)
        return cls(features, members, controls, attempts, seed, epsilon, delta)

    @property
    def categorical(self) -> BoolArray:
        """Which columns contain codes of levels."""
        return np.array([bool(named_levels(column)) for column in self.features.columns])

    def rng(self) -> np.random.Generator:
        """The randomness of an attack; it is the same for all attacks and tables."""
        return np.random.default_rng(self.seed)

    def targets(self, rng: np.random.Generator) -> tuple[Float64Array, Float64Array]:
        """Choose equally many members and controls, at most `attempts` of each."""
        size = min(self.attempts, len(self.members), len(self.controls))
        return tuple(  # type: ignore[return-value]
            side[rng.choice(len(side), size=size, replace=False)]
            for side in (self.members, self.controls)
        )


AttackFunction = Callable[[Float64Array, AttackSetup, TableRole], AttackedTable]
"""A function that attacks the cells of a published table."""


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
    """The result of an attack from its numbers of successes; see `AttackedTable`.

    `deviations` are standard errors of the two rates that come on top of the error of independent
    attempts.
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
