"""Reads the weights and the codebook of a generator's file, and refuses what does not fit together."""

import json
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema, domains
from fedsynth_release.decoding import Codebook
from fedsynth_release.generator_mixture import FlatNetwork, GeneratorMixture, MixtureShape
from fedsynth_release.generator_network import GeneratorNetwork, GeneratorShape
from fedsynth_release.histories.network import HistoryNetwork, HistoryShape

FORMAT, NETWORKS, HISTORIES = "fedsynth-generator-2", "fedsynth-generator-1", "fedsynth-histories-2"
Shape = MixtureShape | GeneratorShape | HistoryShape
FORMATS: dict[str, type[Shape]] = {
    FORMAT: MixtureShape,
    NETWORKS: GeneratorShape,
    HISTORIES: HistoryShape,
}
Network = FlatNetwork | HistoryNetwork
MAX_BYTES = 1 << 30


def damaged(path: Path) -> InputError:
    """The error of a file that is not what it should be."""
    return InputError(f"{path}: damaged, or not a generator of this version of fedsynth")


def read_weights(path: Path) -> tuple[dict[str, torch.Tensor], Shape]:
    """Read all tensors (together no larger than the file) and the architecture in the header."""
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path}: larger than {MAX_BYTES >> 20} MiB; not a generator of fedsynth")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})["fedsynth"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no iterator
        shape = FORMATS[header["format"]].model_validate(header["shape"])
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError, TypeError):
        raise damaged(path) from None
    return tensors, shape


def network_of(tensors: dict[str, torch.Tensor], shape: Shape) -> Network:
    """Build the network; memory for its weights is used only after all shapes were checked."""
    weights = {
        name.removeprefix("network."): tensor
        for name, tensor in tensors.items()
        if name.startswith("network.")
    }
    if {name: tuple(tensor.shape) for name, tensor in weights.items()} != shape.parameter_shapes():
        raise ValueError("the weights are not those of the header's architecture")
    if not all(tensor.is_floating_point() for tensor in weights.values()):
        raise ValueError("weights must be floating-point numbers")
    network = _empty(shape)
    network.load_state_dict(weights)
    if not all(bool(torch.isfinite(parameter).all()) for parameter in network.parameters()):
        raise ValueError("a weight is not finite")
    return network


def _empty(shape: Shape) -> Network:
    match shape:
        case MixtureShape():
            return GeneratorMixture(shape)
        case GeneratorShape():
            return GeneratorNetwork(shape)
        case HistoryShape():
            return HistoryNetwork(shape)


def codebook_of(tensors: dict[str, torch.Tensor], schema: Schema) -> Codebook:
    """Read the codebook and check that every view fits the fine cells of the schema."""
    arrays: dict[str, NDArray[Any]] = {
        name: tensor.numpy() for name, tensor in tensors.items() if name.startswith("codebook.")
    }
    fine = [domain.width for domain in domains(schema)]
    if len(arrays) != 2 * len(fine):
        raise ValueError("the codebook has another number of columns than the schema")
    for column, width in enumerate(fine):
        view = arrays[f"codebook.view.{column}"]
        if view.shape != (width,) or view.min() < 0 or view.max() >= width:
            raise ValueError("a view does not fit its column")
    return Codebook.from_arrays(arrays)
