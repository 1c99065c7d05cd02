"""Long code lists: rare codes are modelled as their group, and no column gets wide."""

import numpy as np
import pytest
from pydantic import ValidationError

from fedsynth_common.errors import InputError
from fedsynth_common.schema import CategoricalColumn, Schema, domains
from fedsynth_release.sampling.condition_sets import condition_sets
from fedsynth_release.sampling.conditions import Condition
from fedsynth_server.aggregation.binning import MOST_CODES, build_codebook

CODES = tuple(f"{group}{number:03d}" for group in "ABCDEFGHIJ" for number in range(600))
COLUMN = CategoricalColumn(
    name="code", categories=CODES, parents=tuple(code[0] for code in CODES), nullable=True
)
SCHEMA = Schema(name="s", columns=(COLUMN,))


def book(counts, sigma, schema=SCHEMA):
    return build_codebook(schema, [counts], [sigma])


def noisy(sigma):
    rng = np.random.default_rng(0)
    counts = np.zeros(len(CODES) + 2)
    counts[: len(CODES)] = 60_000 * rng.dirichlet(np.full(len(CODES), 0.1))
    return counts, counts + rng.normal(0, sigma, len(counts))


def test_rare_codes_join_their_group_and_frequent_ones_stay_alone():
    true, counts = noisy(sigma=5.0)
    view = book(counts, 5.0).views[0]
    alone = np.bincount(view)[view] == 1
    assert alone[np.argsort(-true)[:100]].all()
    group = np.array([ord(code[0]) for code in CODES])
    rare = ~alone[: len(CODES)]
    strong = 0
    for letter in np.unique(group):
        cells = np.flatnonzero(rare & (group == letter))
        if true[cells].sum() > 2 * 4 * 5.0 * np.sqrt(len(cells)):
            strong += 1
            assert np.array_equal(np.flatnonzero(view == view[cells[0]]), cells)
    assert strong >= 3
    assert view.max() + 1 <= MOST_CODES


def test_groups_that_drown_in_noise_are_one():
    counts = np.random.default_rng(1).normal(0, 50.0, len(CODES) + 2)
    counts[0] = 10_000.0
    view = book(counts, 50.0).views[0]
    assert len(np.unique(view[1 : len(CODES)])) <= 3
    assert (view == view[0]).sum() == 1


@pytest.mark.parametrize("parents", [COLUMN.parents, ()])
def test_without_noise_too_the_number_of_codes_is_bounded(parents):
    column = COLUMN.model_copy(update={"parents": parents})
    schema = Schema(name="s", columns=(column,))
    counts = np.arange(1.0, len(CODES) + 3)
    view = book(counts, 0.0, schema).views[0]
    assert view.max() + 1 <= MOST_CODES
    assert np.bincount(view)[view[-2:]].tolist() == [1, 1]  # `other` and missing stay alone


def test_inside_a_group_codes_are_drawn_by_their_noisy_counts():
    true, counts = noisy(sigma=5.0)
    made = book(counts, 5.0)
    view, shape = made.views[0], made.shapes[0]
    code = np.bincount(view).argmax()
    cells = np.flatnonzero(view == code)
    assert shape[cells].sum() == pytest.approx(1.0)
    share = true[cells] / true[cells].sum()
    uniform = np.abs(share - 1 / len(cells)).sum()
    assert np.abs(share - shape[cells]).sum() < uniform


def test_a_group_s_name_stands_for_its_codes_in_a_condition():
    (found,) = condition_sets([Condition.parse("code in C,A001", SCHEMA)], SCHEMA).values()
    held = {CODES[cell] for cell in np.flatnonzero(found.cells)}
    assert held == {code for code in CODES if code.startswith("C")} | {"A001"}
    with pytest.raises(InputError, match="'X' of column 'code' is not declared"):
        condition_sets([Condition.parse("code=X", SCHEMA)], SCHEMA)


def test_ordered_categories_are_compared_by_their_place():
    column = CategoricalColumn(name="stage", categories=("I", "II", "III"), ordered=True)
    schema = Schema(name="s", columns=(column,))
    (found,) = condition_sets([Condition.parse("stage>=II", schema)], schema).values()
    assert found.cells.tolist() == [0, 1, 1, 0]  # `other` has no place in the order
    (plain,) = domains(schema)
    assert plain.width == 4
    with pytest.raises(InputError, match="is for numbers"):
        unordered = Schema(name="s", columns=(column.model_copy(update={"ordered": False}),))
        condition_sets([Condition.parse("stage>=II", unordered)], unordered)


def test_every_category_needs_a_group_if_any_has_one():
    with pytest.raises(ValidationError, match="one group for every category"):
        CategoricalColumn(name="c", categories=("a", "b"), parents=("x",))
