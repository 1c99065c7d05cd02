"""The generator's network: shapes, determinism, and hard rows with a gradient."""

import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from fedsynth_common.networks import (
    flatten,
)
from fedsynth_release.generator_network import GeneratorNetwork, GeneratorShape, block_softmax

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


@pytest.mark.parametrize("by_code", [True, False])
def test_the_softmax_of_blocks_and_its_gradient_are_those_of_each_block(by_code):
    source = torch.Generator().manual_seed(0)
    logits, factors = (torch.randn(7, sum(WIDTHS), generator=source) for _ in range(2))
    if by_code:
        logits = logits.t().contiguous().t()
    found, expected = (logits.clone().requires_grad_() for _ in range(2))
    soft = block_softmax(found, WIDTHS)
    parts = torch.cat([F.softmax(p, dim=1) for p in expected.split(list(WIDTHS), dim=1)], dim=1)
    torch.testing.assert_close(soft, parts)
    (soft * factors).sum().backward()
    (parts * factors).sum().backward()
    torch.testing.assert_close(found.grad, expected.grad)
