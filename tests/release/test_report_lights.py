"""Lights without real records: they say no more than the measurements know."""

import numpy as np
import pytest
from small_measured import measured

from fedsynth_common.schema import BooleanColumn, CategoricalColumn, IntegerColumn
from fedsynth_release.measured_associations import (
    TYPICAL,
    code_values,
    hidden_errors,
    measured_association,
)
from fedsynth_release.measurements import MeasuredAssociations, MeasuredPairs
from fedsynth_release.report import measured_judgements as judged
from fedsynth_release.report.expected import expected_distance
from fedsynth_release.report.expected_relations import expected_relations
from fedsynth_release.report.scores import Judgement, falling, light_of, mean_score, rising, worst

AGE = IntegerColumn(name="age", minimum=0, maximum=99)


# --- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("codes", "light"), [(2, "poor"), (4, "fair"), (20, None)])
def test_an_age_in_two_cells_is_not_good(codes, light):
    part = measured(AGE, codes)
    judgement = judged.measured_cells(part)
    assert (judgement.light, judgement.score) == (light, None)


def test_a_number_with_few_values_needs_no_more_cells():
    few = IntegerColumn(name="stage", minimum=0, maximum=1)
    assert judged.measured_cells(measured(few, 2)).light is None


def test_noise_inside_a_coarse_cell_counts():
    """Two cells are measured almost without noise; what is inside them is not."""
    clear = expected_distance(measured(AGE, 2, error=1e-4, cell_error=1e-4), np.array([0.5, 0.5]))
    noisy = expected_distance(measured(AGE, 2, error=1e-4, cell_error=0.05), np.array([0.5, 0.5]))
    assert clear < 0.05 < 0.15 < noisy


def test_the_expected_distance_is_that_of_simulated_noise():
    """Category shares with normal noise: the mean distance over many draws."""
    rng = np.random.default_rng(1)
    column = CategoricalColumn(name="ward", categories=tuple("abcdefgh"), other=False)
    part = measured(column, 8, error=0.02)
    noise = rng.normal(0, 0.02, (4000, 8))
    simulated = 0.5 * np.abs(noise).sum(axis=1).mean()
    assert expected_distance(part, part.shares) == pytest.approx(simulated, rel=0.05)


def test_the_generators_own_error_counts():
    part = measured(BooleanColumn(name="b"), 2, error=0.0)
    apart = expected_distance(part, np.array([0.7, 0.3]))
    assert apart == pytest.approx(0.2, abs=0.01)


# --- relations -----------------------------------------------------------------------------------


def sides(column, codes):
    part = measured(column, codes)
    return code_values(column, part.view.astype(np.uint16), part.shape)


def diagonal(size, strength=1.0):
    return strength * np.eye(size) / size + (1 - strength) * np.full((size, size), 1 / size**2)


def association(joint, noise=0.0, unknown=0.0, generator=None, a=AGE, b=AGE):
    joint = np.asarray(joint, dtype=float)
    left, right = sides(a, joint.shape[0]), sides(b, joint.shape[1])
    generator = joint if generator is None else np.asarray(generator)
    return measured_association(
        joint, np.full_like(joint, unknown), noise, generator, (left, right)
    )


def test_associations_are_those_of_the_records():
    """20 x 20 codes of a joint table, against Pearson's r of drawn records."""
    rng = np.random.default_rng(2)
    joint = diagonal(20, 0.6)
    flat = rng.choice(400, size=200_000, p=joint.ravel())
    x, y = (5 * code + rng.integers(0, 5, len(flat)) for code in np.divmod(flat, 20))
    found = association(joint)
    assert found.generator == pytest.approx(np.corrcoef(x, y)[0, 1], abs=0.01)
    assert found.measured == pytest.approx(found.generator, abs=0.01)


def test_the_sign_of_a_relation_counts():
    turned = association(diagonal(10), generator=diagonal(10)[::-1])
    assert turned.measured > 0.9
    assert turned.generator < -0.9
    lost = kept_of(turned.measured, 0.01, turned.generator)
    assert lost.kept < 0.05


def test_coarse_cells_hide_a_part_of_a_relation():
    coarse, fine = association(diagonal(2)), association(diagonal(20))
    assert coarse.generator < coarse.measured - 0.1
    assert fine.generator == pytest.approx(fine.measured, abs=0.01)


def test_noise_that_is_large_hides_a_typical_relation():
    quiet, loud = (association(diagonal(10, 0.0), noise=n).noise for n in (1e-10, 1e-2))
    both = np.array([[0.0, quiet], [quiet, 0.0]]), np.array([[0.0, loud], [loud, 0.0]])
    nothing, known = np.zeros((2, 2)), ~np.eye(2, dtype=bool)
    numbers = np.ones(2, dtype=bool)
    low, high = (hidden_errors(nothing, nothing, n, numbers, known)[0, 1] for n in both)
    assert low < 0.01
    assert 0.5 * TYPICAL < high <= TYPICAL


def found(measured, error, generator):
    def square(value):
        return ((0.0, value), (value, 0.0))

    known = ((False, True), (True, False))
    return MeasuredAssociations(
        measured=square(measured), error=square(error), generator=square(generator), known=known
    )


def kept_of(measured, error, generator):
    return expected_relations(0, found(measured, error, generator), np.ones(2, dtype=bool))


def light(measured, error, generator):
    flat = ((0.0, 0.0), (0.0, 0.0))
    pairs = MeasuredPairs(
        distance=flat, dependence=flat, associations=found(measured, error, generator)
    )
    return judged.measured_relations(0, pairs, np.ones(2, dtype=bool))


@pytest.mark.parametrize(
    ("measured", "error", "generator", "expected"),
    [
        (0.5, 0.01, 0.48, "good"),
        (0.5, 0.01, 0.3, "fair"),
        (0.5, 0.01, 0.0, "poor"),
        (0.5, 0.01, -0.5, "poor"),
        (0.0, 0.15, 0.0, "unknown"),
        (0.05, 0.15, 0.05, "unknown"),
        (0.0, 0.01, 0.0, None),
    ],
)
def test_that_nothing_stood_out_from_noise_is_not_good(measured, error, generator, expected):
    judgement = light(measured, error, generator)
    assert judgement.light == expected
    assert judgement.reason.startswith("relations: ")


def test_unseen_pairs_lower_the_score_less_than_the_light():
    """One relation is clear and kept; twenty pairs show nothing but noise."""
    size = 22
    seen, error = np.zeros((size, size)), np.full((size, size), 0.06)
    seen[0, 1] = seen[1, 0] = 0.6
    error[0, 1] = error[1, 0] = 0.01
    tables = [tuple(map(tuple, table.tolist())) for table in (seen, error, seen, np.eye(size) == 0)]
    names = ("measured", "error", "generator", "known")
    pairs = MeasuredAssociations(**dict(zip(names, tables, strict=True)))
    found = expected_relations(0, pairs, np.ones(size, dtype=bool))
    assert found.kept < 0.85
    assert found.kept + 0.05 < found.usual < 1
    flat = tuple((0.0,) * size for _ in range(size))
    measured = MeasuredPairs(distance=flat, dependence=flat, associations=pairs)
    judgement = judged.measured_relations(0, measured, np.ones(size, dtype=bool))
    assert judgement.light == light_of(rising(found.kept, 0.75, 0.40))
    assert judgement.score == rising(found.usual, 0.75, 0.40)


def test_what_was_not_measured_is_unknown():
    numbers = np.ones(2, dtype=bool)
    assert judged.measured_relations(0, None, numbers).light == "unknown"
    flat = ((0.0, 0.0), (0.0, 0.0))
    old = MeasuredPairs(distance=flat, dependence=flat)
    assert judged.measured_relations(0, old, numbers).light == "unknown"


# --- the scale -----------------------------------------------------------------------------------


def test_unknown_is_a_verdict_of_its_own():
    good, fair, poor, unknown, silent = (
        Judgement(light, "x", score)
        for light, score in (
            ("good", 90.0),
            ("fair", 60.0),
            ("poor", 10.0),
            ("unknown", None),
            (None, None),
        )
    )
    assert worst([good, silent]) == "good"
    assert worst([good, unknown]) == "unknown"
    assert worst([fair, unknown]) == "unknown"
    assert worst([poor, unknown]) == "poor"
    assert worst([silent]) == "unknown"
    assert mean_score([good, fair, unknown]) == 75.0
    assert mean_score([unknown]) is None


def test_a_score_falls_without_jumps():
    scores = [falling(x, 0.05, 0.15, 0.45) for x in np.linspace(0, 1, 500)]
    assert all(a >= b for a, b in zip(scores, scores[1:], strict=False))
    assert max(a - b for a, b in zip(scores, scores[1:], strict=False)) < 1.2


# --- the command ---------------------------------------------------------------------------------


def test_the_two_reports_of_a_generator_agree(tmp_path):
    """A table whose columns depend on each other, at two ε: no column is good and then poor."""
    import pandas as pd

    from fedsynth_simulations.benchmarks.lights import agreements, held_table, rank_agreement
    from fedsynth_simulations.benchmarks.tables import Source

    rng = np.random.default_rng(5)
    risk = rng.normal(size=3000)
    table = pd.DataFrame(
        {
            "age": np.clip(60 + 15 * risk + rng.normal(0, 5, 3000), 18, 99).round().astype(int),
            "cost": np.exp(7 + risk + rng.normal(0, 0.5, 3000)).round(2),
            "ward": np.where(risk > 1, "icu", np.where(risk > 0, "surgery", "general")),
            "rare": np.where(rng.random(3000) < 0.004, "yes", "no"),
            "coin": rng.choice(["heads", "tails"], 3000),
            "died": np.where(rng.random(3000) < 1 / (1 + np.exp(2 - risk)), "yes", "no"),
        }
    )
    path = tmp_path / "wards.csv"
    table.to_csv(path, index=False)
    held = held_table(Source(name="wards", path=str(path), target="died"), sites=3, seed=1)
    found = list(agreements(held, [1.0, 10.0], seed=1, variant="marginals"))
    assert [one.good_but_poor for one in found] == [[], []]
    assert rank_agreement(found) > 0.2  # six columns at two ε; a benchmark has hundreds
    lights = [{v.name: v.light for v in one.published} for one in found]
    assert lights[1]["ward"] == "good"
    assert lights[0]["rare"] != "good"
    assert lights[0]["age"] == "poor"
    weak, strong = (np.mean([v.score for v in one.published if v.score]) for one in found)
    assert weak < strong
