"""Runs CTGAN and TabularARGN with DP-SGD on integer cells, in an environment of their own.

No module imports this file; `external_networks.py` starts it as a script. Cells come in as a
.npz file without pickled objects and go out the same way: per column either the place of a value in
its order (a number to the method; -1 where it is missing) or the number of a category.

Both run with the defaults that their authors chose:

- ctgan: Xu et al. 2019 ("Modeling tabular data using conditional GAN"), package `ctgan`. Not
  private. It takes no missing numbers, so they become the median and a category of their own.
- argn-dp: Tiwald et al. 2025 ("TabularARGN"), package `mostlyai-engine`: DP-SGD of Opacus, stopped
  at nine tenths of ε; the last tenth protects the ranges and the rare values. Their accountant.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

pd: Any = importlib.import_module("pandas")

Cells = npt.NDArray[np.int64]
RANGES = 0.1
"""Share of ε for ranges and rare values, as of our histograms."""


def ctgan(cells: Cells, ordered: npt.NDArray[np.bool_], options: dict[str, float]) -> Cells:
    """As many rows from CTGAN."""
    torch = importlib.import_module("torch")
    torch.manual_seed(int(options["seed"]))
    np.random.seed(int(options["seed"]))  # noqa: NPY002 - what ctgan draws from
    frame, discrete = {}, []
    for j, column in enumerate(cells.T):
        gone = column < 0
        if not ordered[j]:
            frame[f"c{j}"] = column.astype(str)
            discrete.append(f"c{j}")
        else:
            usual = np.median(column[~gone]) if (~gone).any() else 0.0
            frame[f"c{j}"] = np.where(gone, usual, column).astype(float)
            if gone.any():
                frame[f"m{j}"] = gone.astype(str)
                discrete.append(f"m{j}")
    model = importlib.import_module("ctgan").CTGAN(enable_gpu=False)
    model.fit(pd.DataFrame(frame), discrete)
    sample = model.sample(len(cells))
    cells_out = np.empty_like(cells)
    for j in range(cells.shape[1]):
        cells_out[:, j] = sample[f"c{j}"].astype(float).round().astype(np.int64)
        if f"m{j}" in sample:
            cells_out[(sample[f"m{j}"] == "True").to_numpy(), j] = -1
    return cells_out


def argn_dp(cells: Cells, ordered: npt.NDArray[np.bool_], options: dict[str, float]) -> Cells:
    """As many rows from TabularARGN, trained with DP-SGD."""
    engine = importlib.import_module("mostlyai.engine")
    settings = importlib.import_module("mostlyai.engine.domain")
    frame = pd.DataFrame(
        {
            f"c{j}": pd.Series(np.where(column < 0, np.nan, column)).astype("Int64")
            if ordered[j]
            else column.astype(str)
            for j, column in enumerate(cells.T)
        }
    )
    model = engine.TabularARGN(
        differential_privacy=settings.DifferentialPrivacyConfig(
            max_epsilon=(1 - RANGES) * options["epsilon"],
            value_protection_epsilon=RANGES * options["epsilon"],
            delta=options["delta"],
        ),
        tgt_encoding_types={
            f"c{j}": "TABULAR_NUMERIC_AUTO" if ordered[j] else "TABULAR_CATEGORICAL"
            for j in range(cells.shape[1])
        },
        device="cpu",
        random_state=int(options["seed"]),
    )
    model.fit(frame)
    sample = model.sample(len(cells), rare_category_replacement_method="SAMPLE")
    cells_out = np.empty_like(cells)
    for j in range(cells.shape[1]):
        values = pd.to_numeric(sample[f"c{j}"], errors="coerce").astype(float)
        cells_out[:, j] = values.round().fillna(-1).to_numpy().astype(np.int64)
    return cells_out


def main(method: str, source: Path, result: Path) -> None:
    """Read cells, run `method`, write as many synthetic cells."""
    with np.load(source, allow_pickle=False) as stored:
        arrays = dict(stored)
    options = {name: float(arrays[name]) for name in ("epsilon", "delta", "seed")}
    run = {"ctgan": ctgan, "argn-dp": argn_dp}[method]
    np.savez(result, codes=run(arrays["codes"], arrays["ordered"], options))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
