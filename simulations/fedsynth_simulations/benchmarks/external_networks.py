"""Runs CTGAN (not private) and TabularARGN with DP-SGD in an environment of their own.

Both get the records as our fine cells; a number is replaced by the position of its cell in their
order. Our decoder turns their output back into records. The results therefore differ from ours only
in the method. Both methods are central, that is, all records are in one place.
"""

import numpy as np
import pandas as pd

from fedsynth_common.array_types import Int64Array, UInt16Array
from fedsynth_common.encoding import encode
from fedsynth_common.schema import FineDomain, Schema, domains
from fedsynth_release.decoding import decode
from fedsynth_simulations.benchmarks.external import External, ExternalTable, drive


def synthesise_network(
    method: str,
    train: pd.DataFrame,
    schema: Schema,
    *,
    epsilon: float,
    delta: float,
    seed: int,
    external: External,
) -> ExternalTable:
    """As many records as `train` has, by "ctgan" (which ignores ε and δ) or "argn-dp".

    Raises:
        InputError: the environment is missing.
        TimeLimit: the method was stopped.
        FedsynthError: the method failed.
    """
    environment = external.networks
    environment.check(f"{external.folder} --networks")
    columns = domains(schema)
    arrays = {
        "codes": places(encode(train, schema, extra="ignore").codes, columns),
        "ordered": np.array([domain.ordered for domain in columns]),
        "epsilon": np.array(epsilon),
        "delta": np.array(delta),
        "seed": np.array(seed),
    }
    output, peak = drive("network_driver.py", method, arrays, environment)
    rng = np.random.default_rng(seed)
    fine = cells_of(output.astype(np.int64), columns)
    return ExternalTable(decode(fine, schema, rng), peak)


def places(codes: UInt16Array, columns: tuple[FineDomain, ...]) -> Int64Array:
    """Fine codes (n, d) as positions in their order, -1 if missing; categories stay as they are."""
    positions = codes.astype(np.int64)
    for j, domain in enumerate(columns):
        if domain.ordered:
            place = np.full(domain.width, -1)
            place[domain.in_order] = np.arange(len(domain.in_order))
            positions[:, j] = place[codes[:, j]]
    return positions


def cells_of(given: Int64Array, columns: tuple[FineDomain, ...]) -> UInt16Array:
    """The inverse of `places`; positions out of range become the nearest cell."""
    cells = np.empty(given.shape, dtype=np.uint16)
    for j, domain in enumerate(columns):
        column = given[:, j]
        if domain.ordered:
            order = domain.in_order
            cells[:, j] = order[np.clip(column, 0, len(order) - 1)]
            if domain.missing is not None:
                cells[column < 0, j] = domain.missing
        else:
            cells[:, j] = np.clip(column, 0, domain.width - 1)
    return cells
