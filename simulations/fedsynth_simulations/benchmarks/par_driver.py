"""Runs PAR of SDV on integer cells of histories, in an environment of its own.

No module imports this file; `histories/par.py` starts it as a script. Cells come in and go out as in
`network_driver.py`, with whose event a row is as the first column, 0 to persons - 1.

PAR (package `deepecho`, "probabilistic autoregressive model") is a recurrent network with the defaults
of its authors but for the epochs. It is not private. Its static columns are those of real persons, drawn
with replacement, so its figures for static columns are too good.
"""

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

pd: Any = importlib.import_module("pandas")


def par(arrays: dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.int64]:
    """As many persons with events from PAR."""
    torch = importlib.import_module("torch")
    seed = int(arrays["seed"])
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - what deepecho draws from
    cells, ordered, static = arrays["codes"], arrays["ordered"], arrays["static"]
    frame, kinds = {"person": cells[:, 0]}, {}
    for j, column in enumerate(cells[:, 1:].T):
        kinds[f"c{j}"] = "continuous" if ordered[j] else "categorical"
        numbers = np.where(column < 0, np.nan, column).astype(float)
        frame[f"c{j}"] = numbers if ordered[j] else column.astype(str)
    context = [f"c{j}" for j in np.flatnonzero(static)]
    model = importlib.import_module("deepecho").PARModel(
        epochs=int(arrays["epochs"]), cuda=False, verbose=False
    )
    model.fit(
        pd.DataFrame(frame), entity_columns=["person"], context_columns=context, data_types=kinds
    )
    sample = model.sample(num_entities=len(np.unique(cells[:, 0])))
    columns = [sample["person"].to_numpy()]
    for j in range(cells.shape[1] - 1):
        values = pd.to_numeric(sample[f"c{j}"], errors="coerce").astype(float)
        columns.append(values.round().fillna(-1).to_numpy())
    return np.column_stack(columns).astype(np.int64)


def main(method: str, source: Path, result: Path) -> None:
    """Read cells, run PAR, write synthetic cells."""
    if method != "par":
        raise SystemExit(f"{method}: expected par")
    with np.load(source, allow_pickle=False) as stored:
        np.savez(result, codes=par(dict(stored)))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
