"""The three-way part of the marginal loss against its definition and against autograd."""

import numpy as np
import pytest
import torch

from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.training.marginal_loss import MarginalLoss
from fedsynth_server.training.three_way_loss import ThreeWayLoss

WIDTHS = (3, 2, 4, 3)
GROUPS = [np.array([0, 1, 1]), np.arange(2), np.array([1, 0, 2, 2]), np.arange(3)]
TRIPLES = [(0, 1, 2), (0, 1, 3), (1, 2, 3)]


def soft_rows(rows=6):
    source = torch.Generator().manual_seed(0)
    parts = [torch.rand(width, rows, generator=source, dtype=torch.double) for width in WIDTHS]
    return torch.cat([part / part.sum(0) for part in parts])


def expected(soft, columns):
    """Mean outer product of the columns' probabilities, summed over groups; differentiable."""
    parts = []
    for column, part in enumerate(soft.split(list(WIDTHS))):
        member = torch.eye(int(GROUPS[column].max()) + 1, dtype=soft.dtype)
        parts.append(member[:, GROUPS[column]] @ part)
    one, two, three = (parts[c] for c in columns)
    return torch.einsum("an,bn,cn->abc", one, two, three) / soft.shape[1]


def measured(variance=1e-3):
    rng = np.random.default_rng(0)
    sizes = [int(of.max()) + 1 for of in GROUPS]
    return [
        MarginalEstimate(
            columns=triple,
            frequencies=rng.dirichlet(np.ones(np.prod([sizes[c] for c in triple]))).reshape(
                [sizes[c] for c in triple]
            ),
            variance=variance * (k + 1),
        )
        for k, triple in enumerate(TRIPLES)
    ]


def test_loss_and_gradient_are_those_of_the_definition():
    soft, loss = soft_rows().requires_grad_(), 0.0
    for marginal in measured():
        left = expected(soft, marginal.columns) - torch.from_numpy(marginal.frequencies)
        loss = loss + left.square().sum() / marginal.variance
    loss.backward()
    value, slopes = ThreeWayLoss(measured(), GROUPS).residual(soft.detach().float())
    assert value == pytest.approx(loss.item(), rel=1e-4)
    torch.testing.assert_close(slopes.double(), soft.grad, rtol=1e-3, atol=1e-4)


def test_expected_tables_are_those_of_the_definition():
    tables = ThreeWayLoss(measured(), GROUPS).expected(soft_rows().float())
    for triple in TRIPLES:
        np.testing.assert_allclose(tables[triple], expected(soft_rows(), triple), atol=1e-6)


def test_the_marginal_loss_counts_the_cells_of_both():
    pair = MarginalEstimate(columns=(0, 1), frequencies=np.full((3, 2), 1 / 6), variance=1e-3)
    three_way, soft = ThreeWayLoss(measured(), GROUPS), soft_rows().float()
    alone = MarginalLoss([pair], WIDTHS).residual(soft)
    both = MarginalLoss([pair], WIDTHS, 0.0, three_way).residual(soft)
    value, slopes = three_way.residual(soft)
    cells = pair.frequencies.size + three_way.cells
    assert both.loss == pytest.approx((alone.loss * pair.frequencies.size + value) / cells)
    together = alone.slopes(soft, 1.0) * pair.frequencies.size + slopes
    torch.testing.assert_close(both.slopes(soft, 1.0), together / cells)
