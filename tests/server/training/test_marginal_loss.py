"""The marginal loss against its definition, cell by cell."""

import numpy as np
import pytest
import torch

from fedsynth_server.aggregation.marginals import VARIANCE_FLOOR, MarginalEstimate
from fedsynth_server.training.marginal_loss import MarginalLoss

WIDTHS = (2, 3, 4)


def soft_rows(rows=7, seed=0):
    source = torch.Generator().manual_seed(seed)
    parts = [torch.rand(rows, width, generator=source) for width in WIDTHS]
    return torch.cat([part / part.sum(1, keepdim=True) for part in parts], dim=1)


def blocks(soft):
    return [part.numpy() for part in soft.split(list(WIDTHS), dim=1)]


def expected(soft, columns):
    """Mean outer product of the columns' probabilities."""
    letters = "abc"[: len(columns)]
    equation = ",".join(f"n{letter}" for letter in letters) + f"->{letters}"
    return np.einsum(equation, *(blocks(soft)[c] for c in columns)) / len(soft)


def marginals(seed=1, variance=1e-3):
    rng = np.random.default_rng(seed)
    sets = [(0,), (1,), (2,), (0, 1), (0, 2), (1, 2)]
    return [
        MarginalEstimate(
            columns=columns,
            frequencies=rng.dirichlet(np.ones(int(np.prod([WIDTHS[c] for c in columns])))).reshape(
                [WIDTHS[c] for c in columns]
            ),
            variance=variance * (k + 1),
        )
        for k, columns in enumerate(sets)
    ]


@pytest.mark.parametrize("count", [1, 3, 4, 6])
def test_the_loss_is_its_definition(count):
    chosen, soft = marginals()[:count], soft_rows()
    total = sum(
        ((expected(soft, m.columns) - m.frequencies) ** 2).sum() / m.variance for m in chosen
    )
    cells = sum(m.frequencies.size for m in chosen)
    assert float(MarginalLoss(chosen, WIDTHS).loss(soft)) == pytest.approx(total / cells, rel=1e-4)


def test_the_truth_under_its_own_noise_scores_about_one():
    soft, rng, variance = soft_rows(50), np.random.default_rng(0), 1e-4
    found = []
    for _ in range(40):
        noisy = [
            MarginalEstimate(
                columns=m.columns,
                frequencies=expected(soft, m.columns)
                + rng.normal(0, variance**0.5, m.frequencies.shape),
                variance=variance,
            )
            for m in marginals()
        ]
        found.append(float(MarginalLoss(noisy, WIDTHS).loss(soft)))
    assert np.mean(found) == pytest.approx(1.0, abs=0.1)


def test_exact_marginals_have_no_loss_and_a_gradient_that_is_finite():
    soft = soft_rows().requires_grad_()
    exact = [
        MarginalEstimate(
            columns=m.columns, frequencies=expected(soft.detach(), m.columns), variance=0.0
        )
        for m in marginals()
    ]
    loss = MarginalLoss(exact, WIDTHS).loss(soft)
    assert (
        float(loss.detach()) * VARIANCE_FLOOR < 1e-10
    )  # variances below the floor count as the floor
    loss.backward()
    assert torch.isfinite(soft.grad).all()


def test_marginals_of_three_columns_are_refused():
    wide = MarginalEstimate(columns=(0, 1, 2), frequencies=np.zeros(WIDTHS), variance=1.0)
    with pytest.raises(ValueError, match="1 or 2"):
        MarginalLoss([wide], WIDTHS)


def test_below_its_target_the_loss_pulls_no_more():
    soft = soft_rows()
    loss = MarginalLoss(marginals(), WIDTHS).loss(soft).item()
    beyond, within = (
        MarginalLoss(marginals(), WIDTHS, target_loss=loss * share) for share in (0.5, 1.5)
    )
    assert beyond.excess(soft.t())[0] == pytest.approx(loss / 2 * beyond.excess_scale, rel=1e-4)
    assert within.excess(soft.t()) == (0.0, None)


@pytest.mark.parametrize("band", [2, 4, 100])
@pytest.mark.parametrize("count", [1, 3, 4, 6])
def test_its_gradient_is_that_of_the_definition(count, band, monkeypatch):
    monkeypatch.setattr("fedsynth_server.training.marginal_loss.BAND", band)
    loss, soft = MarginalLoss(marginals()[:count], WIDTHS), soft_rows().requires_grad_()
    parts, total = torch.split(soft, list(WIDTHS), dim=1), torch.zeros(())
    for marginal in marginals()[:count]:
        letters = "abc"[: len(marginal.columns)]
        equation = ",".join(f"n{letter}" for letter in letters) + f"->{letters}"
        expected = torch.einsum(equation, *(parts[c] for c in marginal.columns)) / len(soft)
        residual = expected - torch.from_numpy(marginal.frequencies).float()
        total = total + residual.square().sum() / marginal.variance
    total = total / sum(m.frequencies.size for m in marginals()[:count])
    (slopes,) = torch.autograd.grad(total, soft)
    loss.loss(soft).backward()
    torch.testing.assert_close(soft.grad, slopes, rtol=1e-4, atol=1e-6)
    excess, found = loss.excess(soft.detach().t())
    assert excess == pytest.approx(total.item() * loss.excess_scale, rel=1e-4)
    torch.testing.assert_close(found.t() / loss.excess_scale, slopes, rtol=1e-4, atol=1e-6)


def test_a_pair_may_be_given_in_either_order():
    found = []
    for turned in (False, True):
        pair = marginals()[3]
        if turned:
            pair = MarginalEstimate(
                columns=pair.columns[::-1], frequencies=pair.frequencies.T, variance=pair.variance
            )
        found.append(float(MarginalLoss([pair], WIDTHS).loss(soft_rows())))
    assert found[0] == found[1] > 0


@pytest.mark.parametrize(("count", "factor"), [(3, 8.0), (4, 1.0), (5, 1.0)])
def test_softened_is_in_units_of_squared_frequency_whatever_the_noise(count, factor):
    """The noise scales away: ten times less noise in everything leaves the softened loss alone."""
    soft = soft_rows()
    values = [
        MarginalLoss(marginals(variance=v)[:count], WIDTHS).excess(soft.t())[0]
        for v in (1e-3, 1e-4)
    ]
    assert values[0] == pytest.approx(values[1], rel=1e-4)
    noisiest = marginals()[count - 1]
    residual = expected(soft, noisiest.columns) - noisiest.frequencies
    assert values[0] >= factor * (residual**2).sum() * (1 - 1e-4)
