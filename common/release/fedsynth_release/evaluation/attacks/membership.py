"""Membership: was this person's record among the training rows?

The attacker holds a full record, the published table S and other real rows R of the population, and
scores the record by the ratio of densities p_S(x) / p_R(x) (van Breugel et al. 2023, DOMIAS,
equation 2): a table that is denser around a record than the population is has memorised it.
Densities are nearest-neighbour estimates, p(x) ~ 1 / d(x)^D with d the rank-scaled Gower distance to
the nearest row: unlike a kernel, they are as sharp as the tables allow and see single copies. The
score is thus

    log(d_R(x) + s) - log(d_S(x) + s),   s = 1e-3 of a column's range.

Targets are balanced. The attacker knows that half of them are members and calls the upper half of the
scores "member" (no threshold is fitted, so the success rates are not optimistic). Held-out rows are
cut in two halves that take turns as controls and as R. Figures:

- advantage = TPR - FPR at that threshold (Yeom et al. 2018);
- AUC of the score; TPR at FPR 1 % (Carlini et al. 2022), the threshold taken from the controls;
- `epsilon_lower`: a threshold is chosen on one half of the targets, TPR and FPR are bounded on the
  other by Clopper-Pearson at 97.5 % each: ε >= ln((TPR_low - δ) / FPR_high) with 95 % confidence;
- `within_claim`: TPR_low <= e^ε FPR_high + δ for the claimed (ε, δ), the same threshold and bounds.

This is an attack on average people. What a worst-case record risks is for the shadow pairs of
`fedsynth_simulations` and the audit of the code to say, and for ε itself.
"""

import math

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score

from fedsynth_release.evaluation.attacks.sides import Sides, attacked
from fedsynth_release.evaluation.features import Floats
from fedsynth_release.evaluation.gower import Gower
from fedsynth_release.evaluation.intervals import area, clopper_pearson
from fedsynth_release.evaluation.results import AttackedTable, Estimate, TableRole

Scores = npt.NDArray[np.float64]

NAME = "membership"
TITLE = "Membership inference"
DEFINITION = (
    "Knows a full record, the published table and other real rows; calls the half of the targets "
    "around which the published table is densest, relative to the real rows, members. Success: a "
    "member called member. Control: a held-out record called member."
)
SOURCE = "van Breugel et al. 2023 (DOMIAS), arXiv 2302.12580; Yeom et al. 2018; Carlini et al. 2022"

_SOFTENING = 1e-3
_CANDIDATES = 50


def membership(published: Floats, sides: Sides, role: TableRole) -> AttackedTable:
    """Score members and controls against the cells of a published table."""
    members, controls = membership_scores(published, sides)
    called = np.concatenate([members, controls])
    threshold = np.median(called)
    guesses = called > threshold
    ties = called == threshold
    guesses[ties] = sides.rng().random(ties.sum()) < _share(guesses, ties)
    result = attacked(
        role,
        float(guesses[: len(members)].sum()),
        len(members),
        float(guesses[len(members) :].sum()),
        len(controls),
        baseline=0.5,
    )
    truth = np.repeat([1, 0], [len(members), len(controls)])
    lower, within = _privacy_bound(members, controls, sides.epsilon, sides.delta)
    return result.model_copy(
        update={
            "auc": area(float(roc_auc_score(truth, called)), len(members), len(controls)),
            "tpr_at_fpr_01": _at_one_percent(members, controls),
            "epsilon_lower": lower,
            "within_claim": within,
        }
    )


def membership_scores(published: Floats, sides: Sides) -> tuple[Scores, Scores]:
    """Log density ratios of members and of controls, equally many; higher: more likely a member."""
    rng = sides.rng()
    halves = np.array_split(rng.permutation(len(sides.controls)), 2)
    size = min(sides.attempts, len(sides.members), len(sides.controls))
    chosen = rng.choice(len(sides.members), size=size, replace=False)
    found: tuple[list[Scores], list[Scores]] = ([], [])
    for asked, known in (halves, halves[::-1]):
        reference = sides.controls[known]
        space = Gower.fit(reference, sides.categorical, "rank")
        share = round(size * len(asked) / len(sides.controls))
        members, chosen = chosen[:share], chosen[share:]
        for place, targets in enumerate((sides.members[members], sides.controls[asked[:share]])):
            near_real = space.nearest(targets, reference)[0]
            near_published = space.nearest(targets, published)[0]
            found[place].append(
                np.log(near_real + _SOFTENING) - np.log(near_published + _SOFTENING)
            )
    return np.concatenate(found[0]), np.concatenate(found[1])


def _share(guesses: npt.NDArray[np.bool_], ties: npt.NDArray[np.bool_]) -> float:
    """Of the tied targets, the share to call members so that half of all are."""
    return (len(guesses) / 2 - int(guesses.sum())) / max(int(ties.sum()), 1)


def _at_one_percent(members: Scores, controls: Scores) -> Estimate:
    threshold = float(np.quantile(controls, 0.99, method="higher"))
    caught = int((members > threshold).sum())
    low, high = clopper_pearson(caught, len(members))
    return Estimate(value=caught / len(members), low=low, high=high)


def _privacy_bound(
    members: Scores, controls: Scores, epsilon: float | None, delta: float | None
) -> tuple[float, bool | None]:
    """The ε proven at least, and whether the claimed one stands."""
    level, slack = 0.95, delta or 0.0  # 97.5 % one-sided each: 95 % together
    candidates = np.unique(
        np.quantile(np.concatenate([members, controls]), np.linspace(0.01, 0.995, _CANDIDATES))
    )

    def bounds(threshold: float, part: int) -> tuple[float, float]:
        hits, alarms = (scores[part::2] > threshold for scores in (members, controls))
        low = clopper_pearson(int(hits.sum()), len(hits), level)[0]
        return low, clopper_pearson(int(alarms.sum()), len(alarms), level)[1]

    def epsilon_of(low: float, high: float) -> float:
        return math.log((low - slack) / high) if low > slack else 0.0

    best = max(candidates.tolist(), key=lambda threshold: epsilon_of(*bounds(threshold, 0)))
    low, high = bounds(best, 1)
    within = None if epsilon is None else low <= math.exp(epsilon) * high + slack
    return max(epsilon_of(low, high), 0.0), within
