"""What the parts of a study cost beside a yardstick that does the least they could: one table.

Every line is timed in turn with its yardstick in one process, so that other work on the machine meets
both, and is the median of several repeats. Tables are random (`large.py`): how fast a part is depends on
columns and records, not on what they say. Whoever compares versions compares the ratios.
"""

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from fedsynth_client.vault.measure import contingency
from fedsynth_common.encoding import encode
from fedsynth_common.schema import Schema
from fedsynth_release.decoding import Codebook
from fedsynth_release.generator_network import GeneratorNetwork, GeneratorShape
from fedsynth_release.sampling.sampler import Sampler
from fedsynth_release.table_writer import TableWriter
from fedsynth_server.training.duration import Probe
from fedsynth_server.training.settings import TrainingSettings
from fedsynth_simulations.benchmarks.large import all_pairs, pieces, schema_of

WIDTHS, ROWS = (15, 50, 200), (10_000, 100_000, 1_000_000)
MOST_CELLS = 50_000_000
"""Larger tables are left out: they need more memory than a laptop has."""
PIECE = 50_000
Step = Callable[[], object]


class Timing(NamedTuple):
    """Medians, in seconds.

    Attributes:
        part: What was timed.
        columns: Of the table; 0 where there is none.
        rows: Of the table; 0 where there is none.
        seconds: Of the part.
        yardstick: What it was timed beside.
        least: Seconds of that.
    """

    part: str
    columns: int
    rows: int
    seconds: float
    yardstick: str
    least: float

    @property
    def ratio(self) -> float:
        """The part over its yardstick."""
        return self.seconds / self.least


def beside(
    part: str, step: Step, yardstick: str, least: Step, repeats: int, size: tuple[int, int] = (0, 0)
) -> Timing:
    """Time a part and its yardstick in turn, after a run of each that warms up."""
    seconds = [(_seconds(step), _seconds(least)) for _ in range(repeats + 1)][1:]
    ours, theirs = (statistics.median(times) for times in zip(*seconds, strict=True))
    return Timing(part, *size, ours, yardstick, theirs)


def timings(widths: Sequence[int], rows: Sequence[int], repeats: int) -> Iterator[Timing]:
    """All parts, the quick ones first."""
    yield from commands(repeats)
    for width in widths:
        yield from training(width, repeats)
    for width in widths:
        for count in rows:
            if width * count <= MOST_CELLS:
                yield from tables(width, count, repeats)


def commands(repeats: int) -> Iterator[Timing]:
    """How long a person waits for the list of commands, and Flower for a courier."""
    python = [sys.executable, "-c"]
    script = [str(Path(sys.executable).with_name("fedsynth")), "--help"]
    yield beside(
        "fedsynth --help", _process(script), "Python", _process([*python, "pass"]), repeats
    )
    courier = _process([*python, "import fedsynth_client.courier"])
    flower = _process([*python, "import flwr.clientapp"])
    yield beside("import of the courier", courier, "import of flwr.clientapp", flower, repeats)


def training(columns: int, repeats: int) -> Iterator[Timing]:
    """Steps of the generator's training beside the product of matrices that they cannot do without."""
    widths = [20] * columns
    probe = Probe(widths, TrainingSettings(), paired=True)
    soft = torch.rand(probe.latents, sum(widths))
    size, product = (columns, probe.latents), "latents' product PᵀP"

    def least() -> object:
        return soft.t() @ soft

    yield beside("fit step", probe.fit_once, product, least, repeats, size)
    step = probe.adversarial_once()
    yield beside("adversarial step", step, "fit step", probe.fit_once, repeats, size)


def tables(columns: int, rows: int, repeats: int) -> Iterator[Timing]:
    """What is done with records: read into codes, counted, drawn, written."""
    schema, size = schema_of(columns), (columns, rows)
    frame = pa.concat_tables(pieces(schema, rows)).to_pandas()
    codes = encode(frame, schema).codes
    yield beside(
        "encode",
        lambda: encode(frame, schema),
        "pandas.factorize",
        lambda: [pd.factorize(cells) for _, cells in frame.items()],
        repeats,
        size,
    )
    request = all_pairs(schema)
    yield beside(
        "contingency of all pairs",
        lambda: contingency(codes, request.views, request.marginals),
        "numpy.bincount",
        lambda: _bincounts(codes),
        repeats,
        size,
    )
    sampler, rng = random_sampler(schema), np.random.default_rng(0)
    yield beside(
        "sampling",
        lambda: _drawn(sampler, rows, rng),
        "numpy draw of the codes alone",
        lambda: plain_draw(sampler.tables, rows, rng),
        repeats,
        size,
    )
    yield from _writing(_drawn(sampler, rows, rng), repeats, size)


def _writing(frames: list[pd.DataFrame], repeats: int, size: tuple[int, int]) -> Iterator[Timing]:
    whole = pd.concat(frames, ignore_index=True)
    with tempfile.TemporaryDirectory() as name:
        ours, theirs = Path(name, "ours.parquet"), Path(name, "theirs.parquet")
        table = pa.Table.from_pandas(whole, preserve_index=False)
        yield beside(
            "write Parquet",
            lambda: _written(frames, ours),
            "pyarrow",
            lambda: pq.write_table(table, theirs),
            repeats,
            size,
        )
        ours, theirs = Path(name, "ours.csv"), Path(name, "theirs.csv")
        yield beside(
            "write CSV",
            lambda: _written(frames, ours),
            "pandas",
            lambda: whole.to_csv(theirs, index=False),
            repeats,
            size,
        )


def random_sampler(schema: Schema) -> Sampler:
    """Of a generator that has learned nothing, with at most 24 codes a column."""
    views = all_pairs(schema).views
    shapes = [1 / np.bincount(view)[view] for view in views]
    codebook = Codebook(views, tuple(shapes))
    network = GeneratorNetwork(GeneratorShape(widths=codebook.widths))
    network.initialise(torch.ones(codebook.total), torch.Generator().manual_seed(0))
    return Sampler.of(network, codebook, schema)


def plain_draw(
    tables: Sequence[np.ndarray], rows: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Codes with the same probabilities, as one would write it down; neither values nor a table."""
    latent = rng.integers(len(tables[0]), size=rows)
    return [(rng.random(rows)[:, None] >= table[latent]).sum(axis=1) for table in tables]


def _drawn(sampler: Sampler, rows: int, rng: np.random.Generator) -> list[pd.DataFrame]:
    starts = range(0, rows, PIECE)
    return [sampler.frame(min(PIECE, rows - start), rng) for start in starts]


def _written(frames: list[pd.DataFrame], path: Path) -> None:
    with TableWriter(path) as writer:
        for frame in frames:
            writer.write(frame)


def _bincounts(codes: np.ndarray) -> None:
    columns = [codes[:, place].astype(np.int64) for place in range(codes.shape[1])]
    widths = [int(column.max()) + 1 for column in columns]
    for a, b in combinations(range(len(columns)), 2):
        np.bincount(columns[a] * widths[b] + columns[b], minlength=widths[a] * widths[b])


def _process(command: list[str]) -> Step:
    return lambda: subprocess.run(command, check=True, capture_output=True)


def _seconds(step: Step) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start
