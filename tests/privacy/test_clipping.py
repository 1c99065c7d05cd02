"""One record moves the gradient sum by at most C, whatever its gradient (PRIVACY.md, claim 5)."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fedsynth_common.privacy import PrivacyError, clipping

pytestmark = pytest.mark.privacy

SLACK = 1e-9
HUGE = float(np.finfo(np.float32).max)
NASTY = [0.0, 1.0, -1.0, 1e-45, 1e-38, 1e-20, 1e18, 1e38, HUGE, -HUGE]
BROKEN = [math.nan, math.inf, -math.inf]


class Formed:
    """Gradients that are formed after all, behind the interface of those that are not."""

    def __init__(self, grads):
        self.shapes = [g.shape[1:] for g in grads]
        self.rows = torch.cat([g.detach().double().flatten(1) for g in grads], dim=1)

    def squared_norms(self):
        return self.rows.square().sum(1)

    def zero(self, units):
        self.rows[units] = 0.0

    def weighted_sum(self, weights):
        sums = torch.split(weights @ self.rows, [math.prod(shape) for shape in self.shapes])
        return [s.view(shape) for s, shape in zip(sums, self.shapes, strict=True)]


def clip_and_sum(grads, clipping_norm):
    used = torch.ones(len(grads[0]), dtype=torch.bool)
    return clipping.clip_and_sum(Formed(grads), used, clipping_norm)


def norm(tensors):
    """Return the exact L2 norm over all tensors (scaled, summed without rounding)."""
    flat = [float(x) for t in tensors for x in t.flatten()]
    largest = max(map(abs, flat), default=0.0)
    if largest in (0.0, math.inf) or math.isnan(largest):
        return largest
    return largest * math.sqrt(math.fsum((x / largest) ** 2 for x in flat))


def without(grads, row):
    return [torch.cat([g[:row], g[row + 1 :]]) for g in grads]


def moved(grads, row, clipping_norm):
    """Return how far removing one row moves the clipped sum."""
    full = clip_and_sum(grads, clipping_norm)
    rest = clip_and_sum(without(grads, row), clipping_norm)
    return norm([a - b for a, b in zip(full, rest, strict=True)])


def random_grads(rows, seed=0, spread=3.0):
    generator = torch.Generator().manual_seed(seed)
    size = torch.exp(spread * torch.randn(rows, 1, generator=generator))
    shapes = [(4, 3), (4,), (2, 1, 5)]
    return [
        (size * torch.randn(rows, math.prod(s), generator=generator)).view(rows, *s) for s in shapes
    ]


@pytest.mark.parametrize("rows", [0, 1, 2, 33, 64, 65, 200])
@pytest.mark.parametrize("clipping_norm", [0.01, 1.0, 50.0])
def test_equals_the_definition(rows, clipping_norm):
    grads = random_grads(rows)
    expected = [np.zeros(g.shape[1:]) for g in grads]
    for i in range(rows):
        row = [g[i].double().numpy() for g in grads]
        length = norm([torch.from_numpy(r) for r in row])
        for total, part in zip(expected, row, strict=True):
            total += part * min(1.0, clipping_norm / length)
    for result, wanted in zip(clip_and_sum(grads, clipping_norm), expected, strict=True):
        assert result.dtype == torch.float64
        assert result.shape == wanted.shape
        assert np.allclose(result.numpy(), wanted, rtol=1e-12, atol=1e-12)


entries = st.one_of(
    st.sampled_from(NASTY + BROKEN), st.floats(width=32, allow_nan=True, allow_infinity=True)
)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(entries, min_size=5, max_size=5), min_size=1, max_size=6),
    st.sampled_from([1e-6, 1.0, 1e4]),
    st.data(),
)
def test_sensitivity_holds_for_any_entries(rows, clipping_norm, data):
    table = torch.tensor(rows, dtype=torch.float32)
    grads = [table[:, :3], table[:, 3:].reshape(-1, 2, 1)]
    row = data.draw(st.integers(0, len(rows) - 1))
    assert moved(grads, row, clipping_norm) <= clipping_norm * (1 + SLACK)


@pytest.mark.parametrize("value", [*NASTY, *BROKEN])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sensitivity_beside_a_thousand_clipped_rows(value, dtype):
    grads = [g.to(dtype) for g in random_grads(1_000)]
    grads[0][500] = value
    assert moved(grads, 500, 1.0) <= 1.0 + SLACK
    assert all(torch.isfinite(s).all() for s in clip_and_sum(grads, 1.0))


def test_float32_sums_would_break_the_bound():
    """Why sums are float64: rounding against many rows in one direction exceeds the promise."""
    grads = [torch.full((20_000, 10), 1.0), torch.zeros(20_000, 1)]
    factors = torch.full((20_000,), 1 / math.sqrt(10))
    single = [(factors @ grads[0], factors[1:] @ grads[0][1:])]
    assert norm([a.double() - b.double() for a, b in single]) > 1 + 1e-5
    assert moved(grads, 0, 1.0) <= 1 + SLACK


@pytest.mark.parametrize("value", BROKEN)
@pytest.mark.parametrize("parameter", [0, 1, 2])
def test_a_row_with_one_non_finite_entry_adds_nothing(value, parameter):
    grads = random_grads(70)
    clean = clip_and_sum(without(grads, 66), 1.0)
    grads[parameter][66].view(-1)[-1] = value
    for with_row, wanted in zip(clip_and_sum(grads, 1.0), clean, strict=True):
        assert torch.allclose(with_row, wanted, rtol=0, atol=1e-12)


def test_clipping_without_the_guard_reveals_membership():
    """The attack that the guard stops: one infinite gradient makes the plain sum NaN."""
    grads = random_grads(10)
    grads[0][3] = math.inf
    flat = torch.cat([g.flatten(1) for g in grads], dim=1)
    plain = (flat * (1.0 / flat.norm(dim=1, keepdim=True)).clamp(max=1.0)).sum(0)
    assert torch.isnan(plain).any()
    assert all(torch.isfinite(s).all() for s in clip_and_sum(grads, 1.0))


def test_huge_finite_gradients_are_clipped_not_lost():
    """The norm of float32 entries near the maximum overflows in float32, not here."""
    result = clip_and_sum([torch.full((1, 4), HUGE), torch.zeros(1, 2)], 1.0)
    assert norm(result) == pytest.approx(1.0, abs=SLACK)


def test_float64_rows_whose_norm_overflows_add_nothing():
    assert norm(clip_and_sum([torch.full((1, 4), 1e300, dtype=torch.float64)], 1.0)) == 0.0


def test_short_rows_are_left_alone_and_zero_rows_are_fine():
    row = torch.tensor([[0.3, -0.4], [0.0, 0.0]])
    assert torch.equal(clip_and_sum([row], 1.0)[0], row[0].double())


def test_the_norm_is_joint_over_parameters():
    grads = [torch.tensor([[3.0]]), torch.tensor([[4.0]])]
    assert [round(float(s), 12) for s in clip_and_sum(grads, 1.0)] == [0.6, 0.8]


def test_empty_batch_gives_zeros_of_the_parameter_shapes():
    result = clip_and_sum(random_grads(0), 1.0)
    assert [tuple(s.shape) for s in result] == [(4, 3), (4,), (2, 1, 5)]
    assert norm(result) == 0.0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_gradients(dtype):
    grads = [torch.full((3_000, 5), 1e4, dtype=dtype)]
    assert moved(grads, 7, 1.0) <= 1 + SLACK


@pytest.mark.parametrize("clipping_norm", [0.0, -1.0, math.nan, math.inf])
def test_bad_clipping_norms_are_refused(clipping_norm):
    with pytest.raises(PrivacyError, match="clipping_norm"):
        clip_and_sum(random_grads(2), clipping_norm)


def test_what_fills_up_a_piece_adds_nothing():
    grads = random_grads(70)
    grads[1][66, 2] = math.nan
    [expected, *_] = clip_and_sum(without(grads, 69), 1.0)
    [found, *_] = clipping.clip_and_sum(Formed(grads), torch.arange(70) < 69, 1.0)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
