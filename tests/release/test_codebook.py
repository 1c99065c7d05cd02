"""Codebooks: views, shapes, and what a file may not hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load, save

from fedsynth_common.errors import InputError
from fedsynth_common.schema import IntegerColumn, Schema
from fedsynth_release.decoding import Codebook
from fedsynth_release.decoding.codebook import group_totals

VIEW = np.array([0, 1, 0, 2], dtype=np.uint16)
SHAPE = np.array([0.25, 1.0, 0.75, 1.0])


def number(maximum=999, **fields):
    return Schema(
        name="s", columns=(IntegerColumn(name="n", minimum=0, maximum=maximum, **fields),)
    )


def test_sizes():
    book = Codebook((VIEW, np.arange(2)), (SHAPE, np.ones(2)))
    assert (book.widths, book.offsets, book.total) == ((3, 2), (0, 3), 5)


def test_identity_is_the_fine_domain():
    schema = number(nullable=True)
    book = Codebook.identity(schema)
    fine = np.arange(257, dtype=np.uint16)[:, None]
    np.testing.assert_array_equal(book.apply(fine), fine)
    np.testing.assert_array_equal(book.to_fine(fine, np.random.default_rng(0)), fine)


def test_apply_is_the_view():
    book = Codebook((VIEW,), (SHAPE,))
    assert book.apply(np.array([[0], [1], [2], [3]], dtype=np.uint16))[:, 0].tolist() == [
        0,
        1,
        0,
        2,
    ]


def test_drawing_follows_the_shape():
    book = Codebook((VIEW,), (SHAPE,))
    fine = book.to_fine(np.zeros((40_000, 1), dtype=np.uint16), np.random.default_rng(0))
    assert set(fine[:, 0]) == {0, 2}
    assert np.mean(fine == 2) == pytest.approx(0.75, abs=0.01)


@settings(deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.integers(0, 2**32 - 1))
def test_apply_inverts_to_fine(groups, seed):
    view = np.unique(groups, return_inverse=True)[1].astype(np.uint16)
    rng = np.random.default_rng(seed)
    weight = rng.random(len(view)) * (rng.random(len(view)) < 0.5)  # many cells of no mass
    weight += 1e-12 * (group_totals(view, weight)[view] == 0)
    book = Codebook((view,), (weight / group_totals(view, weight)[view],))
    codes = rng.integers(0, book.widths[0], (200, 1)).astype(np.uint16)
    fine = book.to_fine(codes, rng)
    np.testing.assert_array_equal(book.apply(fine), codes)
    assert (book.shapes[0][fine] > 0).all()


class Edge(np.random.Generator):
    """Draws the smallest or the largest uniform a generator can give."""

    def __init__(self, value):
        super().__init__(np.random.PCG64(0))
        self.value = value

    def random(self, size=None):
        return np.full(size, self.value)


@pytest.mark.parametrize("value", [0.0, 1 - 2.0**-53])
def test_the_ends_of_a_code_belong_to_its_own_cells(value):
    view = np.repeat(np.arange(100), 4)
    weight = np.tile([0.0, 0.3, 0.69999, 0.0], 100)  # sums to 1 but for a file's rounding
    book = Codebook((view,), (weight,))
    codes = np.arange(100, dtype=np.uint16)[:, None]
    fine = book.to_fine(codes, Edge(value))
    np.testing.assert_array_equal(book.apply(fine), codes)
    assert (book.shapes[0][fine] > 0).all()


def test_arrays_survive_a_safetensors_file():
    book = Codebook((VIEW, np.arange(2)), (SHAPE, np.ones(2)))
    again = Codebook.from_arrays(load(save(book.to_arrays())))
    for one, two in zip((*book.views, *book.shapes), (*again.views, *again.shapes), strict=True):
        np.testing.assert_array_equal(one, two)


def test_arrays_are_copies_and_read_only():
    view = VIEW.copy()
    book = Codebook((view,), (SHAPE,))
    view[0] = 2
    assert book.views[0][0] == 0
    with pytest.raises(ValueError, match="read-only"):
        book.shapes[0][0] = 1


@pytest.mark.parametrize(
    ("view", "shape", "fault"),
    [
        ([0, 2], [1.0, 1.0], "every code"),
        ([1, 1], [0.5, 0.5], "every code"),
        ([-1, 0], [1.0, 1.0], "every code"),
        ([0, 0], [0.5, 0.4], "sum to 1"),
        ([0, 0], [1.5, -0.5], "not negative"),
        ([0, 0], [np.nan, 1.0], "finite"),
        ([0, 0], [0.5, 0.25, 0.25], "same length"),
        ([0.0, 1.0], [1.0, 1.0], "whole numbers"),
        ([], [], "same length"),
    ],
)
def test_what_is_no_codebook_is_refused(view, shape, fault):
    with pytest.raises(InputError, match=f"column 0: .*{fault}"):
        Codebook((np.array(view),), (np.array(shape),))


def test_incomplete_arrays_are_refused():
    arrays = Codebook((VIEW, VIEW), (SHAPE, SHAPE)).to_arrays()
    del arrays["codebook.shape.1"]
    with pytest.raises(InputError, match=r"codebook\.shape\.1"):
        Codebook.from_arrays(arrays)
    with pytest.raises(InputError, match="differs"):
        Codebook((VIEW,), ())


def test_codes_that_do_not_belong_are_refused():
    book = Codebook((VIEW,), (SHAPE,))
    with pytest.raises(InputError, match="another schema"):
        book.apply(np.array([[4]], dtype=np.uint16))
    with pytest.raises(InputError, match="another codebook"):
        book.to_fine(np.array([[3]], dtype=np.uint16), np.random.default_rng(0))
    with pytest.raises(InputError, match="expected 1 columns"):
        book.apply(np.zeros((1, 2), dtype=np.uint16))
