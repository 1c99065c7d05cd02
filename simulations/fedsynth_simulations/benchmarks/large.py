"""`fedsynth benchmark large` measures the time and memory of a site with many records.

A table of 50 mixed columns is written piece by piece, then a fresh process does what a vault does
with it: check, encode, keep, and count all pairs of columns. Two claims are measured, that time is
linear in the records and that peak memory does not grow with them: only the file of codes does (100
bytes a record here, without a name, gone with the process). Seconds are those of the processor (one
core), so that they can be compared between a busy and an idle machine. With events of persons, the
persons are in no order in the table, and the marginals are those of a study of histories.

Started as `python -m fedsynth_simulations.benchmarks.large TABLE SCRATCH` it is that fresh process,
and prints its figures as JSON; importing the libraries is in the memory, not in the time.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq

from fedsynth_client.budget.policy import Policy
from fedsynth_client.preflight.preflight import Inspection
from fedsynth_client.records.sources import open_source
from fedsynth_client.vault.measure import Axis, Marginal, Measurement, noisy_counts_of
from fedsynth_common.errors import FedsynthError
from fedsynth_common.privacy.randomness import Randomness
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    IntegerColumn,
    ModelledColumn,
    NumericColumn,
    Schema,
    domains,
    history_schema,
)
from fedsynth_simulations.benchmarks.large_histories import blocks, of_persons, persons_and_days
from fedsynth_simulations.benchmarks.memory import peak_megabytes

GROUPS = 24  # codes of a column in a study
_PIECE = 1 << 16
_LABELS = tuple(f"value {number}" for number in range(12))


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What one table cost."""

    rows: int
    columns: int
    events: int
    blocks: int
    megabytes: float
    encode_seconds: float
    encode_peak_megabytes: float
    measure_seconds: float
    measure_peak_megabytes: float

    @property
    def rows_per_second(self) -> float:
        """Records checked and encoded in a second."""
        return self.rows / self.encode_seconds

    @property
    def line(self) -> str:
        """All figures for a person."""
        people = f", {self.events} events a person" if self.events else ""
        return (
            f"{self.rows:,} x {self.columns}{people} ({self.megabytes:,.0f} MB): "
            f"check and encode {self.encode_seconds:,.1f} s, {self.rows_per_second:,.0f} rows/s, "
            f"peak {self.encode_peak_megabytes:,.0f} MB; all {self.blocks:,} pairs "
            f"{self.measure_seconds:,.1f} s, peak {self.measure_peak_megabytes:,.0f} MB"
        )


def schema_of(columns: int, events: int = 0) -> Schema:
    """Half numbers with decimals, a quarter labels, a fifth integers, the rest booleans.

    With `events`, a row is an event of a person who has as many on average.
    """
    kinds: list[ModelledColumn] = []
    for number in range(columns):
        name = f"column {number}"
        match number % 20:
            case place if place < 10:
                column: ModelledColumn = NumericColumn(
                    name=name, minimum=0.0, maximum=200.0, decimals=2, nullable=place == 0
                )
            case place if place < 15:
                column = CategoricalColumn(name=name, categories=_LABELS, nullable=place == 10)
            case place if place < 19:
                column = IntegerColumn(name=name, minimum=0, maximum=120)
            case _:
                column = BooleanColumn(name=name)
        kinds.append(column)
    return of_persons(kinds, events) if events else Schema(name="large", columns=tuple(kinds))


def write_table(path: Path, schema: Schema, rows: int, events: int = 0) -> None:
    """Random records; Parquet or CSV by the path's suffix."""
    writer: Any = None
    for piece in pieces(schema, rows, events):
        if writer is None:
            kind = pq.ParquetWriter if path.suffix == ".parquet" else pc.CSVWriter
            writer = kind(path, piece.schema)
        writer.write_table(piece)
    writer.close()


def run(
    rows: int, columns: int, suffix: str, folder: Path | None = None, events: int = 0
) -> Figures:
    """Write a table, have a fresh process serve it, and remove it.

    Raises:
        FedsynthError: the process failed.
    """
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        table = Path(scratch, f"large{suffix}")
        write_table(table, schema_of(columns, events), rows, events)
        size = table.stat().st_size / (1 << 20)
        command = [sys.executable, "-m", __name__, str(table), scratch, str(columns), str(events)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise FedsynthError(f"large: the site's process failed: {ended.stderr.strip()[-300:]}")
        return Figures(columns=columns, events=events, megabytes=size, **json.loads(ended.stdout))


def serve(table: Path, scratch: Path, schema: Schema) -> dict[str, float]:
    """Check, encode and measure as a vault does; the figures of this process."""
    policy = Policy(
        dataset="large", max_epsilon=1.0, max_delta=1e-5, min_records=1, approved_plans="any"
    )
    start = time.process_time()
    inspection = Inspection(schema, policy, scratch=scratch, keep=True)
    inspection.read(open_source(table))
    inspection.result().require_fit()
    records = inspection.records.finish(Randomness())
    encoded, peak = time.process_time(), peak_megabytes()
    request = all_pairs(schema)
    noisy_counts_of(records, request, Randomness())
    return {
        "rows": len(records),
        "blocks": len(request.marginals),
        "encode_seconds": encoded - start,
        "encode_peak_megabytes": peak,
        "measure_seconds": time.process_time() - encoded,
        "measure_peak_megabytes": peak_megabytes(),
    }


def all_pairs(schema: Schema) -> Measurement:
    """Every pair of columns, each seen through at most `GROUPS` groups."""
    widths = [domain.width for domain in domains(history_schema(schema))]
    groups = [min(width, GROUPS) for width in widths]
    views = tuple(
        (np.arange(width) * group // width).astype(np.uint16)
        for width, group in zip(widths, groups, strict=True)
    )
    axes = [Axis(column, group, column) for column, group in enumerate(groups)]
    if schema.histories is not None:
        return Measurement(views, tuple(blocks(schema, axes)))
    return Measurement(views, tuple(Marginal(pair, 100) for pair in combinations(axes, 2)))


def pieces(schema: Schema, rows: int, events: int = 0) -> Iterator[pa.Table]:
    """Random records of a schema, some at a time."""
    rng = np.random.default_rng(0)
    for start in range(0, rows, _PIECE):
        count = min(_PIECE, rows - start)
        columns = {c.name: _cells(c, count, rng) for c in schema.modelled}
        if events:
            columns |= persons_and_days(count, max(1, rows // events), rng)
        yield pa.table(columns)


def _cells(column: ModelledColumn, count: int, rng: np.random.Generator) -> pa.Array:
    absent = rng.random(count) < 0.02 if column.nullable else None
    if isinstance(column, NumericColumn):
        return pa.array(np.round(rng.normal(100, 20, count).clip(0, 200), 2), mask=absent)
    if isinstance(column, IntegerColumn):
        return pa.array(rng.integers(0, 100, count))
    if isinstance(column, BooleanColumn):
        return pa.array(np.array(["false", "true"])[rng.integers(0, 2, count)])
    labels = np.array(_LABELS)[np.minimum(rng.integers(0, 12, count), rng.integers(0, 12, count))]
    return pa.array(labels, mask=absent)


if __name__ == "__main__":
    figures = serve(Path(sys.argv[1]), Path(sys.argv[2]), schema_of(*map(int, sys.argv[3:])))
    json.dump(figures, sys.stdout)
