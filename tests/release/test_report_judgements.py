"""Traffic lights: the thresholds that the report prints, and reasons that name the figures."""

import pytest
from small_evaluation import attacked, column, square

from fedsynth_release.evaluation.amounts import Amounts, ComparedAmounts
from fedsynth_release.evaluation.history_results import ColumnOverTime
from fedsynth_release.evaluation.results import PairFidelity
from fedsynth_release.report import judgements


def pairs(real, made):
    same = square(3, 0.0, 0.0)
    return PairFidelity(
        names=("a", "b", "c"),
        tvd=same,
        tvd_floor=same,
        association_real=square(3, real, 1.0),
        association_synthetic=square(3, made, 1.0),
    )


@pytest.mark.parametrize(
    ("tvd", "ceiling", "light"),
    [(0.05, 0.01, "good"), (0.06, 0.01, "fair"), (0.06, 0.05, "good"), (0.16, 0.01, "poor")],
)
def test_values_of_a_column(tvd, ceiling, light):
    fidelity = column("a", "categorical", ("x",), tvd).model_copy(update={"tvd_ceiling": ceiling})
    judgement = judgements.values_of(fidelity)
    assert judgement.light == light
    assert f"{tvd:.3f}" in judgement.reason
    assert f"{ceiling:.3f}" in judgement.reason


@pytest.mark.parametrize(
    ("real", "made", "light"),
    [
        (0.4, 0.35, "good"),
        (0.4, 0.2, "fair"),
        (0.4, 0.0, "poor"),
        (0.4, -0.4, "poor"),
        (-0.4, -0.35, "good"),
        (0.05, 0.0, None),
    ],
)
def test_relations_of_a_column(real, made, light):
    judgement = judgements.relations_of(1, pairs(real, made))
    assert judgement.light == light
    assert judgement.reason.startswith("relations: ")


def numbers(mean, sd):
    zeros = {"quantiles": (0.0,) * 5, "zeros": 0.0}
    return Amounts(mean=mean, sd=sd, **zeros)


@pytest.mark.parametrize(
    ("mean", "sd", "light"),
    [
        (10.05, 1.1, "good"),
        (10.0, 1.4, "fair"),
        (10.0, 1.6, "poor"),
        (10.25, 1.0, "fair"),
        (11.0, 1.0, "poor"),
    ],
)
def test_a_number_with_another_mean_or_spread_is_not_good(mean, sd, light):
    both = ComparedAmounts(real=numbers(10.0, 1.0), synthetic=numbers(mean, sd))
    fidelity = column("cost", "numeric", (), 0.01).model_copy(update={"amounts": both})
    assert judgements.amounts_of(fidelity).light == light


def test_a_column_without_amounts_is_not_judged_by_them():
    assert judgements.amounts_of(column("ward", "categorical", ("x",), 0.01)).light is None


def test_a_column_that_is_mostly_other_is_poor():
    assert judgements.other_share(0.1).light is None
    mostly = judgements.other_share(0.86)
    assert mostly.light == "poor"
    assert "86%" in mostly.reason


@pytest.mark.parametrize(("low", "high"), [(0.5, 0.9), (0.9, 0.5), (-0.2, 0.8)])
def test_between_floor_and_ceiling(low, high):
    at = [
        judgements.between(low + share * (high - low), low, high) for share in (0.1, 0.3, 0.7, 1.2)
    ]
    assert at == ["poor", "fair", "good", "good"]
    assert judgements.between(0.5, low, low) == "unknown"


def test_an_attack_is_good_only_if_it_finds_the_leak_on_purpose():
    quiet, leak, blind = attacked("synthetic", 0.0, False), attacked("leaky", 0.6, True), None
    assert judgements.attack_judgement(quiet, leak).light == "good"
    assert judgements.attack_judgement(quiet, blind).light == "good"
    assert judgements.attack_judgement(quiet, attacked("leaky", 0.0, False)).light == "unknown"
    assert judgements.attack_judgement(attacked("synthetic", 0.2, True), leak).light == "poor"
    beyond = attacked("synthetic", 0.0, False, within_claim=False)
    assert judgements.attack_judgement(beyond, leak).light == "poor"
    assert judgements.attack_judgement(
        attacked("synthetic", 0.0, False, attacks=0), leak
    ).light == ("unknown")


def _remembering(one, two):
    return ColumnOverTime(
        name="ward",
        tvd=0.1,
        tvd_ceiling=0.08,
        tvd_floor=0.48,
        real=(0.5, 0.4, None),
        synthetic=(one, two, None),
        within_real=None,
        within_synthetic=None,
    )


def test_transitions_are_judged_by_real_persons_and_by_events_dealt_at_random():
    def light(tvd):
        return judgements.transitions_of(_remembering(0.4, 0.2).model_copy(update={"tvd": tvd}))

    lights = [light(tvd).light for tvd in (0.02, 0.11, 0.23, 0.25, 0.37, 0.39)]
    assert lights == ["good", "good", "good", "fair", "fair", "poor"]
    assert "dealt to persons at random 0.480" in light(0.1).reason
    assert judgements.memory_of(_remembering(0.4, 0.2)).light == "fair"
    assert judgements.memory_of(_remembering(0.5, 0.35)).light == "good"
    assert judgements.memory_of(_remembering(-0.5, -0.4)).light == "poor"
