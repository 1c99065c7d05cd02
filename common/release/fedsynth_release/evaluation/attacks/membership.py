"""Membership: the attacker guesses whether a person's record was among the training rows.

The attacker knows a full record, the published table S and other real rows R of the population. The
record is scored by the ratio of densities p_S(x) / p_R(x) (van Breugel et al. 2023, DOMIAS,
equation 2): if the published table is denser around a record than the population is, it has
memorised the record. The densities are nearest-neighbour estimates, p(x) ~ 1 / d(x)^D, where d is
the rank-scaled Gower distance to the nearest row. Unlike kernel estimates they notice single
copies. The score is thus

    log(d_R(x) + s) - log(d_S(x) + s),   s = 1e-3 of a column's range.

There are as many members as controls among the targets. The attacker knows this and calls the half
with the higher scores members. No threshold is fitted, so the success rates are not too optimistic.
The held-out rows are cut in two halves: one serves as controls and the other as R, and then the
other way round. The figures are:

- the advantage, TPR - FPR at that threshold (Yeom et al. 2018);
- the AUC of the score, and the TPR at an FPR of 1 % (Carlini et al. 2022), with the threshold taken
  from the controls;
- `epsilon_lower`: a threshold is chosen on one half of the targets. On the other half TPR and FPR
  are bounded by Clopper-Pearson at 97.5 % each. Then ε >= ln((TPR_low - δ) / FPR_high) with 95 %
  confidence.
- `within_claim`: whether TPR_low <= e^ε FPR_high + δ holds for the claimed (ε, δ), with the same
  threshold and bounds.

This attack is about average people. The risk of a worst-case record is measured by the shadow pairs
of `fedsynth_simulations` and limited by ε itself.
"""

import math

import numpy as np
from sklearn.metrics import roc_auc_score

from fedsynth_common.array_types import BoolArray, Float64Array
from fedsynth_release.evaluation.attack_results import AttackedTable
from fedsynth_release.evaluation.attacks.attack_setup import AttackSetup, attacked
from fedsynth_release.evaluation.gower import Gower
from fedsynth_release.evaluation.intervals import area, clopper_pearson
from fedsynth_release.evaluation.result_parts import Estimate, TableRole

NAME = "membership"
TITLE = "Membership inference"
DEFINITION = (
    "The attacker knows a full record, the published table and other real rows. Compared with the real "
    "rows, the published table is denser around some targets than around others. The attacker says "
    "that the half of the targets with the highest density was in the table. The attack succeeds if "
    "this is said of a training record. The control is how often it is said of held-out records."
)
SOURCE = "van Breugel et al. 2023 (DOMIAS), arXiv 2302.12580; Yeom et al. 2018; Carlini et al. 2022"

_SOFTENING = 1e-3
_CANDIDATES = 50


def membership(published: Float64Array, setup: AttackSetup, role: TableRole) -> AttackedTable:
    """Score members and controls by the cells of a published table, and guess who is a member."""
    members, controls = membership_scores(published, setup)
    scores = np.concatenate([members, controls])
    threshold = np.median(scores)
    guesses = scores > threshold
    ties = scores == threshold
    guesses[ties] = setup.rng().random(ties.sum()) < _share(guesses, ties)
    result = attacked(
        role,
        float(guesses[: len(members)].sum()),
        len(members),
        float(guesses[len(members) :].sum()),
        len(controls),
        baseline=0.5,
    )
    truth = np.repeat([1, 0], [len(members), len(controls)])
    lower, within = _privacy_bound(members, controls, setup.epsilon, setup.delta)
    return result.model_copy(
        update={
            "auc": area(float(roc_auc_score(truth, scores)), len(members), len(controls)),
            "tpr_at_fpr_01": _at_one_percent(members, controls),
            "epsilon_lower": lower,
            "within_claim": within,
        }
    )


def membership_scores(
    published: Float64Array, setup: AttackSetup
) -> tuple[Float64Array, Float64Array]:
    """The log density ratios of equally many members and controls.

    A record with a higher score is more likely to be a member.
    """
    rng = setup.rng()
    halves = np.array_split(rng.permutation(len(setup.controls)), 2)
    size = min(setup.attempts, len(setup.members), len(setup.controls))
    chosen = rng.choice(len(setup.members), size=size, replace=False)
    scores: tuple[list[Float64Array], list[Float64Array]] = ([], [])
    for control_half, reference_half in (halves, halves[::-1]):
        reference = setup.controls[reference_half]
        space = Gower.fit(reference, setup.categorical, "rank")
        share = round(size * len(control_half) / len(setup.controls))
        members, chosen = chosen[:share], chosen[share:]
        controls = control_half[:share]
        for place, targets in enumerate((setup.members[members], setup.controls[controls])):
            near_real = space.nearest(targets, reference)[0]
            near_published = space.nearest(targets, published)[0]
            scores[place].append(
                np.log(near_real + _SOFTENING) - np.log(near_published + _SOFTENING)
            )
    return np.concatenate(scores[0]), np.concatenate(scores[1])


def _share(guesses: BoolArray, ties: BoolArray) -> float:
    """The share of tied targets to call members, so that half of all targets are called members."""
    return (len(guesses) / 2 - int(guesses.sum())) / max(int(ties.sum()), 1)


def _at_one_percent(members: Float64Array, controls: Float64Array) -> Estimate:
    threshold = float(np.quantile(controls, 0.99, method="higher"))
    caught = int((members > threshold).sum())
    low, high = clopper_pearson(caught, len(members))
    return Estimate(value=caught / len(members), low=low, high=high)


def _privacy_bound(
    members: Float64Array, controls: Float64Array, epsilon: float | None, delta: float | None
) -> tuple[float, bool | None]:
    """The lower bound of ε that the attack proves, and whether the claimed ε agrees with it."""
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
