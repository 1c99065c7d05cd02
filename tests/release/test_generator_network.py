"""The generator's network: shapes, determinism, and hard rows with a gradient."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from fedsynth_common.networks import (
    flatten,
)
from fedsynth_release.generator_network import GeneratorNetwork, GeneratorShape, gumbel_rows

WIDTHS = (3, 1, 4)


def new_generator(seed=0, **shape):
    fields = {"widths": WIDTHS, "latents": 20, "latent_size": 5, "hidden": 6} | shape
    network = GeneratorNetwork(GeneratorShape(**fields))
    frequencies = torch.tensor([0.2, 0.3, 0.5, 1.0, 0.1, 0.2, 0.3, 0.4])
    network.initialise(frequencies, torch.Generator().manual_seed(seed))
    return network


def test_soft_rows_are_distributions_per_column():
    soft = new_generator().soft_rows()
    assert soft.shape == (20, 8)
    for part in soft.split(list(WIDTHS), dim=1):
        assert torch.allclose(part.sum(1), torch.ones(20))
        assert (part >= 0).all()


def test_rows_of_some_latents_are_those_of_all():
    network, index = new_generator(), torch.tensor([7, 7, 0])
    assert torch.allclose(network.soft_rows(index), network.soft_rows()[index])


def test_initial_weights_are_a_function_of_the_generator_given():
    torch.manual_seed(5)
    first = flatten(new_generator())
    torch.manual_seed(6)
    assert (flatten(new_generator()) == first).all()
    assert not (flatten(new_generator(seed=1)) == first).all()


def test_the_stated_shapes_are_the_networks():
    network = new_generator()
    found = {name: tuple(p.shape) for name, p in network.named_parameters()}
    assert found == network.shape.parameter_shapes()
    assert not list(network.buffers())


@pytest.mark.parametrize(
    "bad", [{"widths": ()}, {"widths": (0,)}, {"latents": 0}, {"hidden": 0}, {"depth": 2}]
)
def test_shapes_are_checked(bad):
    with pytest.raises(ValueError, match="validation error"):
        GeneratorShape(**({"widths": WIDTHS} | bad))


def test_gumbel_rows_are_one_hot_with_the_softmax_frequencies_and_a_gradient():
    logits = torch.tensor([[0.0, 1.0, 2.0, 5.0, 0.0, 0.0, 3.0, 1.0]]).repeat(20_000, 1)
    logits.requires_grad_()
    rows = gumbel_rows(logits, WIDTHS, torch.Generator().manual_seed(0))
    hard = rows.detach()
    assert torch.allclose(hard, hard.round(), atol=1e-6)
    start = 0
    for width in WIDTHS:
        part = hard[:, start : start + width]
        expected = F.softmax(logits.detach()[0, start : start + width], 0)
        assert torch.allclose(part.mean(0), expected, atol=0.015)
        start += width
    rows[:, 0].sum().backward()
    assert torch.isfinite(logits.grad).all()
    assert (logits.grad[:, 3:] == 0).all()
    assert (logits.grad[:, :3] != 0).any()
