"""The discriminator that sites train, its input, and its parameters as they travel."""

from fedsynth_common.networks.discriminator import (
    Discriminator,
    column_blocks,
    layers_of,
    prediction,
    predictions,
)
from fedsynth_common.networks.onehot import one_hot
from fedsynth_common.networks.parameters import flatten, load_flat, parameter_count

__all__ = [
    "Discriminator",
    "column_blocks",
    "flatten",
    "layers_of",
    "load_flat",
    "one_hot",
    "parameter_count",
    "prediction",
    "predictions",
]
