"""A network's parameters as one flat vector: what travels between coordinator and site."""

import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from fedsynth_common.array_types import Float32Array


def parameter_count(module: nn.Module) -> int:
    """Number of scalar parameters."""
    return sum(p.numel() for p in module.parameters())


def flatten(module: nn.Module) -> Float32Array:
    """All parameters, in the order of `module.parameters()`, as float32 (p,)."""
    with torch.no_grad():
        vector: Float32Array = parameters_to_vector(module.parameters()).float().cpu().numpy()
    return vector


def load_flat(module: nn.Module, vector: Float32Array) -> None:
    """Write a flat vector into the parameters.

    Raises:
        ValueError: if the vector has another length than the parameters.
    """
    if vector.size != parameter_count(module):
        raise ValueError(f"expected {parameter_count(module)} parameters, got {vector.size}")
    # a copy, in the parameters' own type: from here on the parameters are views of it
    copied = torch.tensor(vector, dtype=next(module.parameters()).dtype)
    vector_to_parameters(copied, module.parameters())
