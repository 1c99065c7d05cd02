"""A small table of persons with histories, and what a study should make of it, said in plain loops."""

import numpy as np
import pandas as pd

from fedsynth_common.schema import (
    CategoricalColumn,
    Histories,
    IdColumn,
    IntegerColumn,
    NumericColumn,
    Schema,
    domain_of,
    layout_of,
)

L, GAP = 3, 5
COLUMNS = (
    IdColumn(name="id"),
    CategoricalColumn(name="sex", categories=("f", "m"), other=False, nullable=True),
    IntegerColumn(name="day", minimum=0, maximum=20),
    NumericColumn(name="age", minimum=0, maximum=9.5, decimals=1),
    CategoricalColumn(name="ward", categories=("a", "b", "c"), other=False, nullable=True),
)


def history_schema_of(**changes) -> Schema:
    fields = {
        "order": "day",
        "max_events": L,
        "events": ("day", "age", "ward"),
        "largest_gap": GAP,
        "grows": ("age",),
    }
    histories = Histories(**(fields | changes))
    return Schema(name="visits", columns=COLUMNS, person_key="id", histories=histories)


HISTORIES = history_schema_of()
REPAIRED = pd.DataFrame(
    {
        "id": ["a"] * 4 + ["b"] * 2 + ["c"],
        "sex": ["f", "f", "m", "f", "m", "m", "f"],
        "day": [0, 1, 2, 3, 0, 20, 7],
        "age": [1.0, 2.0, 1.5, 3.0, 5.0, 4.0, 1.0],
        "ward": "a",
    }
)
"""Of whom a study cuts a, shortens a gap of b, and repairs a static column and a falling age."""


def events_of(rng: np.random.Generator, persons: int, most: int = 6) -> pd.DataFrame:
    """Random events of at most `most` a person, in no order; some orders are equal, some ages fall."""
    sizes = rng.integers(1, most + 1, persons)
    ids = np.repeat([f"p{k}" for k in range(persons)], sizes)
    n = len(ids)
    frame = pd.DataFrame(
        {
            "id": ids,
            "sex": rng.choice(["f", "m", None], n),
            "day": rng.integers(0, 21, n),
            "age": rng.integers(0, 96, n) / 10,
            "ward": rng.choice(["a", "b", "c", None], n),
        }
    )
    return frame.iloc[rng.permutation(n)].reset_index(drop=True)


def expected_codes(kept: pd.DataFrame, schema: Schema = HISTORIES) -> list[list[int]]:
    """The model's codes of one person's kept events, which are in order."""
    layout, rows, largest = layout_of(schema), [], None
    names = [column.name for column in layout.columns]
    assert names == [
        "sex",
        "day at first event",
        "number of events",
        "age at first event",
        "day since previous event",
        "age since previous event",
        "ward",
    ]
    sexes, wards = {"f": 0, "m": 1, None: 2}, {"a": 0, "b": 1, "c": 2, None: 3}
    first = kept.iloc[0]
    for k in range(len(kept)):
        event = kept.iloc[k]
        age = round(event["age"] * 10)
        if k == 0:
            gap = domain_of(layout.columns[4]).missing
            increase = domain_of(layout.columns[5]).missing
            largest = age
        else:
            gap = min(int(event["day"]) - int(kept.iloc[k - 1]["day"]), GAP)
            increase = max(age - largest, 0)
            largest = max(age, largest)
        text = [None if pd.isna(event[name]) else event[name] for name in ("sex", "ward")]
        rows.append(
            [
                sexes[None if pd.isna(first["sex"]) else first["sex"]],
                int(first["day"]),
                len(kept) - 1,
                round(first["age"] * 10),
                gap,
                increase,
                wards[text[1]],
            ]
        )
    return rows


def visits(persons: int, seed: int) -> pd.DataFrame:
    """A ward that lasts: who is in ward a stays there. Women have three events, men one."""
    rng, rows = np.random.default_rng(seed), []
    for k in range(persons):
        sex = rng.choice(["f", "m"])
        ward, day, age = rng.choice(["a", "b"]), int(rng.integers(0, 3)), rng.integers(0, 50) / 10
        for _ in range(3 if sex == "f" else 1):
            rows.append((f"p{k}", sex, day, age, ward))
            day, age = day + int(rng.integers(1, 4)), round(age + 0.2, 1)
    return pd.DataFrame(rows, columns=["id", "sex", "day", "age", "ward"])
