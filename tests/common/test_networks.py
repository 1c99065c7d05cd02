"""The discriminator: its input and parameters, and that a prediction sees the other columns alone."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from fedsynth_common.networks import (
    Discriminator,
    column_blocks,
    flatten,
    load_flat,
    one_hot,
    parameter_count,
    prediction,
    predictions,
)

WIDTHS = (3, 1, 4)


def test_one_hot():
    codes = np.array([[2, 0, 3], [0, 0, 0]], dtype=np.uint16)
    rows = one_hot(codes, WIDTHS)
    assert rows.tolist() == [[0, 0, 1, 1, 0, 0, 0, 1], [1, 0, 0, 1, 1, 0, 0, 0]]
    assert one_hot(np.zeros((0, 3), np.uint16), WIDTHS).shape == (0, 8)


def test_parameters_travel_as_one_vector():
    first, second = Discriminator(8, (5, 4)), Discriminator(8, (5, 4))
    vector = flatten(first)
    assert vector.dtype == np.float32
    assert vector.shape == (parameter_count(first),) == (8 * 5 + 5 + 5 * 4 + 4 + 4 * 8 + 8,)
    load_flat(second, vector)
    rows = torch.randn(6, 8)
    assert torch.equal(first(rows), second(rows))
    with pytest.raises(ValueError, match="expected 109 parameters, got 108"):
        load_flat(second, vector[:-1])


def test_a_flat_vector_is_a_copy():
    network = Discriminator(8, (5,))
    vector = flatten(network)
    kept = vector.copy()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1.0)
    assert (vector == kept).all()


def test_the_discriminator_has_nothing_that_mixes_records():
    network = Discriminator(8)
    assert not list(network.buffers())
    assert not any(
        "Norm" in type(m).__name__ or "Dropout" in type(m).__name__ for m in network.modules()
    )
    assert network(torch.zeros(0, 8)).shape == (0, 8)


def test_a_prediction_sees_the_other_columns_alone():
    torch.manual_seed(0)
    network, blocks = Discriminator(8, (5,)), column_blocks(WIDTHS)
    rows = one_hot(np.array([[0, 0, 1], [0, 0, 2], [2, 0, 1]], dtype=np.uint16), WIDTHS)
    blank = blocks[2].expand(3, -1)
    logits = network(torch.cat([rows[:, :4], torch.zeros(3, 4)], dim=1))[:, 4:]
    expected = F.log_softmax(logits, dim=1)[range(3), [1, 2, 1]]
    found = prediction(network, rows, blank)
    torch.testing.assert_close(found, expected)
    # the first two rows differ in the blanked column alone: same distribution, another code of it
    assert torch.equal(logits[0], logits[1])
    assert found[0] != found[1]
    assert found[0] != found[2]
    alone = prediction(network, rows[1:2], blank[1:2])
    torch.testing.assert_close(alone, found[1:2])


@pytest.mark.parametrize("hidden", [(5,), (5, 3)])
def test_all_predictions_at_once_are_those_of_one_column_after_the_other(hidden):
    torch.manual_seed(0)
    network, blocks = Discriminator(8, hidden), column_blocks(WIDTHS)
    codes = np.array([[0, 0, 1], [2, 0, 3], [1, 0, 0]], dtype=np.uint16)
    grads = []
    for together in (True, False):
        rows = one_hot(codes, WIDTHS).requires_grad_()
        if together:
            found = predictions(network, rows, WIDTHS)
        else:
            alone = [prediction(network, rows, block.expand_as(rows)) for block in blocks]
            torch.testing.assert_close(found, torch.stack(alone, dim=1))
            found = torch.stack(alone, dim=1)
        (found * torch.arange(1.0, 10.0).view(3, 3)).sum().backward()
        grads.append(rows.grad)
    torch.testing.assert_close(*grads)


def test_predictions_of_a_column_add_up_to_one():
    torch.manual_seed(0)
    network, blocks = Discriminator(8, (5, 3)), column_blocks(WIDTHS)
    codes = np.array([[1, 0, code] for code in range(4)], dtype=np.uint16)
    found = prediction(network, one_hot(codes, WIDTHS), blocks[2].expand(4, -1))
    assert found.detach().exp().sum().item() == pytest.approx(1.0)
    only = prediction(network, one_hot(codes, WIDTHS), blocks[1].expand(4, -1))
    assert only.tolist() == [0.0] * 4  # a column of one code is no news


def test_it_starts_at_independent_columns():
    network, frequencies = (
        Discriminator(8, (5,)),
        torch.tensor([0.2, 0.3, 0.5, 1, 0.1, 0.2, 0.3, 0.4]),
    )
    network.initialise(frequencies, 3, torch.Generator().manual_seed(0))
    rows = one_hot(np.array([[0, 0, 3], [1, 0, 0]], dtype=np.uint16), WIDTHS)
    blocks = column_blocks(WIDTHS)
    for column, expected in ((0, [0.2, 0.3]), (2, [0.4, 0.1])):
        found = prediction(network, rows, blocks[column].expand(2, -1))
        torch.testing.assert_close(found.exp(), torch.tensor(expected))


def test_a_prediction_leads_a_gradient_to_the_column_and_to_the_others():
    torch.manual_seed(0)
    network, blocks = Discriminator(8, (5,)), column_blocks(WIDTHS)
    rows = one_hot(np.array([[1, 0, 3]], dtype=np.uint16), WIDTHS).requires_grad_()
    prediction(network, rows, blocks[0].unsqueeze(0)).sum().backward()
    assert torch.isfinite(rows.grad).all()
    assert (rows.grad[0, :3] != 0).all()
    assert (rows.grad[0, 4:] != 0).all()
