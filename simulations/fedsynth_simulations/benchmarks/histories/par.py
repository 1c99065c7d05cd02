"""The row `par`: histories from SDV's PAR, which is central and not private (`par_driver.py`)."""

import numpy as np
import pandas as pd

from fedsynth_common.encoding import encode
from fedsynth_common.schema import Schema, domains
from fedsynth_release.decoding import decode
from fedsynth_simulations.benchmarks.external import External, drive
from fedsynth_simulations.benchmarks.external_networks import cells_of, places

EPOCHS = 40
"""Passes over the table; the authors' default is 128."""


def synthesise_par(
    train: pd.DataFrame, schema: Schema, seed: int, external: External, epochs: int = EPOCHS
) -> pd.DataFrame:
    """As many persons as `train` has, in the user's columns.

    Raises:
        InputError: the environment is missing.
        TimeLimit: PAR was stopped.
        FedsynthError: PAR failed.
    """
    environment = external.networks
    environment.check(f"{external.folder} --networks")
    key, histories = schema.person_key or "", schema.histories
    flat = Schema(name=schema.name, columns=schema.modelled)
    columns = domains(flat)
    order = next(c.name for c in flat.columns if histories and c.name == histories.order)
    rows = train.sort_values(order, kind="stable").reset_index(drop=True)
    found = places(encode(rows, flat, extra="ignore").codes, columns)
    person = pd.factorize(rows[key])[0]
    of_event = set(histories.events) if histories else set()
    arrays = {
        "codes": np.column_stack([person, found])[np.argsort(person, kind="stable")],
        "ordered": np.array([domain.ordered for domain in columns]),
        "static": np.array([column.name not in of_event for column in flat.columns]),
        "seed": np.array(seed),
        "epochs": np.array(epochs),
    }
    made, _ = drive("par_driver.py", "par", arrays, environment)
    frame = decode(cells_of(made[:, 1:], columns), flat, np.random.default_rng(seed))
    return frame.assign(**{key: made[:, 0].astype(str)})
