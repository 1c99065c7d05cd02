"""Frames as people have them in memory, for tests of `import fedsynth`."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd

SMALL = {"epsilon": 5, "quick": True, "variant": "marginals"}
"""Options of a study that takes two seconds."""


def mixed_frame(rows: int, seed: int = 0) -> pd.DataFrame:
    """A column of every type that pandas has for what a hospital writes down; some cells are missing."""
    rng = np.random.default_rng(seed)
    ward = rng.choice(["a", "b", "c"], rows, p=[0.5, 0.3, 0.2])
    age = np.clip(rng.normal(np.where(ward == "a", 35, 65), 12), 1, 98).astype("int8")
    days = rng.integers(0, 900, rows)
    moments = pd.Timestamp("2020-01-01 08:00") + pd.to_timedelta(days, unit="D")
    others = moments[::-1]
    prices = [Decimal(int(cents)) / 100 for cents in rng.integers(100, 9000, rows)]
    frame = pd.DataFrame(
        {
            "age": age,
            "ward": pd.Categorical(ward),
            "grade": pd.Categorical(rng.choice(["low", "mid", "top"], rows), ordered=True),
            "pressure": rng.normal(120, 15, rows).round(1).astype("float32"),
            "smoker": pd.array(rng.choice([True, False], rows), dtype="boolean"),
            "flag": rng.choice([True, False], rows),
            "admitted": moments,
            "zoned": others.tz_localize("UTC").tz_convert("Europe/Berlin"),
            "born": [datetime.date(1950, 1, 1) + datetime.timedelta(int(d)) for d in days * 20],
            "stay": pd.to_timedelta(rng.integers(0, 40, rows), unit="D"),
            "price": prices,
            "count": pd.array(rng.integers(0, 300, rows), dtype="Int16"),
            "visits": rng.integers(0, 300, rows).astype(float),
            "team": rng.choice(["red", "blue", "green"], rows).astype(object),
            "outcome": np.where(rng.random(rows) < np.where(age > 60, 0.6, 0.1), "died", "home"),
        }
    )
    for place, name in enumerate(("smoker", "count", "visits", "team", "price")):
        frame.loc[place :: 20 + place, name] = None
    return frame


def visits_frame(persons: int, seed: int = 0) -> pd.DataFrame:
    """Customers of a bank with two to five months each."""
    rng, rows = np.random.default_rng(seed), []
    for person in range(persons):
        kind, month = rng.choice(["young", "old"]), int(rng.integers(1, 5))
        for _ in range(int(rng.integers(2, 6))):
            late = bool(rng.random() < (0.4 if kind == "young" else 0.1))
            rows.append((f"p{person:04d}", kind, month, late, int(rng.integers(0, 500))))
            month += int(rng.integers(1, 3))
    return pd.DataFrame(rows, columns=["customer", "kind", "month", "late", "balance"])
