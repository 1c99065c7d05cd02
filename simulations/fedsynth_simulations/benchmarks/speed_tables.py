"""The lines of `benchmark speed` about records: read into codes, counted, drawn, written."""

import tempfile
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

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
from fedsynth_simulations.benchmarks.large import all_pairs, pieces, schema_of
from fedsynth_simulations.benchmarks.timing import Timing, beside

PIECE = 50_000


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
