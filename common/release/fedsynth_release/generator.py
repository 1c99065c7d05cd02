"""Loads a finished generator and draws records from it.

A generator folder contains `generator.safetensors` (weights and codebook), `schema.json` and
`privacy_statement.json`. The statement is written last and contains the SHA-256 of the other two
files. No file is a pickle. The header of the weights names the architecture. Shape, range and
finiteness of every array are checked before memory of its size is used, so a damaged or hostile
file leads to one clear error.

`sampling/sampler.py` draws records, with or without conditions. `sampling/completion.py` completes
rows. Where persons have histories, `histories/history_sampler.py` draws persons with their events,
and `histories/continuation.py` draws the next events of given histories.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file

from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema, history_schema
from fedsynth_release.decoding import Codebook
from fedsynth_release.generator_files import (
    DIGESTED,
    SCHEMA,
    STATEMENT,
    WEIGHTS,
    digests_of,
    sha256_of,
)
from fedsynth_release.generator_mixture import FlatNetwork
from fedsynth_release.generator_weights import (
    FORMATS,
    Network,
    codebook_of,
    damaged,
    network_of,
    read_weights,
)
from fedsynth_release.histories.continuation import continued
from fedsynth_release.histories.history_sampler import HistorySampler
from fedsynth_release.histories.history_tables import history_frames
from fedsynth_release.histories.mixture import persons_and_events
from fedsynth_release.histories.network import HistoryNetwork
from fedsynth_release.histories.shape import fits
from fedsynth_release.sampling.completion import complete_rows
from fedsynth_release.sampling.latents import SoftNetwork
from fedsynth_release.sampling.rebalance import Draw, Rebalance
from fedsynth_release.sampling.sampler import Sampler, Where
from fedsynth_release.sampling.surrogate_values import Surrogates
from fedsynth_release.statement.privacy_statement import PrivacyStatement

CHUNK = 50_000
"""Number of records that are drawn at a time, so that any number of records fits into memory."""


class Generator:
    """A generator with its codebook, schema and privacy statement."""

    def __init__(
        self,
        network: Network,
        codebook: Codebook,
        schema: Schema,
        statement: PrivacyStatement,
    ) -> None:
        self.network = network
        self.codebook = codebook
        self.schema = schema
        self.statement = statement
        self._sampler = (
            HistorySampler.of(network, codebook, schema)
            if isinstance(network, HistoryNetwork)
            else Sampler.of(network, codebook, schema)
        )

    def stream(
        self,
        rows: int,
        seed: int | None = None,
        where: Where = (),
        rebalance: Rebalance | str | None = None,
    ) -> Iterator[pd.DataFrame]:
        """Draw `rows` records in frames of at most 50,000, with constant memory.

        Where persons have histories, `rows` is a number of persons. They come with all their events.
        """
        rng = _rng(seed)
        if isinstance(self._sampler, HistorySampler):
            if rebalance is not None:
                raise InputError("--rebalance: cannot be used with histories; use --where instead")
            yield from history_frames(self._sampler.conditioned(where), rows, rng)
            return
        if isinstance(rebalance, str):
            rebalance = Rebalance.parse(rebalance, self.schema)
        surrogates = Surrogates(self.schema, rows, rng)
        if rebalance is None:
            draw: Draw = self._sampler.conditioned(self._flat, where).frame
        else:
            draw = rebalance.drawer(self._sampler, self._flat, where)
        for start in range(0, rows, CHUNK):
            yield surrogates.added(draw(min(CHUNK, rows - start), rng), start)

    def probability(self, where: Where) -> float:
        """The share of the generator's records that meet the conditions, at least 1e-9.

        Raises:
            InputError: a condition cannot be read, or the share is below 1e-9.
        """
        if isinstance(self._sampler, HistorySampler):
            return self._sampler.conditioned(where).probability
        return self._sampler.conditioned(self._flat, where).probability

    @property
    def model_schema(self) -> Schema:
        """The schema of the columns that are modelled: of events where persons have histories."""
        return history_schema(self.schema)

    @property
    def mixture(self) -> SoftNetwork:
        """P(code | z) of every model column; of histories on average over a person's events."""
        if isinstance(self.network, HistoryNetwork):
            return persons_and_events(self.network)
        return self.network

    @property
    def _flat(self) -> FlatNetwork:
        """The network of a generator of records without histories."""
        if isinstance(self.network, HistoryNetwork):
            fault = (
                "it cannot complete rows; continue given histories instead (sample --given, --next)"
            )
            raise InputError(f"this generator draws persons with histories; {fault}")
        return self.network

    def continued(
        self, frame: pd.DataFrame, events: int = 1, seed: int | None = None
    ) -> pd.DataFrame:
        """The next events of histories that are given, as rows of the same table.

        Args:
            frame: events of persons: the person key, and the columns that are known. Empty cells are
                not known; the order and the columns that grow may not be empty.
            events: how many events each person gets.
            seed: as for `sample`.

        Raises:
            InputError: a column or cell does not fit the schema, or there is no room for more events.
        """
        if not isinstance(self._sampler, HistorySampler):
            raise InputError("--next: this generator draws records without events; leave it out")
        return continued(self._sampler, frame, events, _rng(seed))

    def complete(self, frame: pd.DataFrame, seed: int | None = None) -> pd.DataFrame:
        """Complete rows: absent columns and empty cells are drawn to go with the given cells.

        Raises:
            InputError: there are no rows, or a column or cell does not fit the schema.
        """
        network, sampler = self._flat, self._sampler
        assert isinstance(sampler, Sampler)  # noqa: S101 - the network above is flat
        rng = _rng(seed)
        surrogates = Surrogates(self.schema, len(frame), rng)
        starts = range(0, max(1, len(frame)), CHUNK)
        done = [
            surrogates.added(complete_rows(sampler, network, frame.iloc[i : i + CHUNK], rng), i)
            for i in starts
        ]
        return pd.concat(done, ignore_index=True)

    def sample(
        self,
        rows: int,
        seed: int | None = None,
        where: Where = (),
        rebalance: Rebalance | str | None = None,
    ) -> pd.DataFrame:
        """Draw records as one frame.

        Args:
            rows: the number of records, at least 1; with histories, of persons.
            seed: the same seed draws the same records again. Without one, every call draws other
                records. Sampling is post-processing, so a seed does not weaken the guarantee.
            where: conditions that every record must meet, such as `("age>=65", "sex=F")`.
            rebalance: shares of a column's categories, such as `"sex"` for equal shares or
                `"sex=F:0.7,M:0.3"`.
        """
        if rows < 1:
            raise InputError(f"--rows {rows}: expected at least 1")
        frames = list(self.stream(rows, seed, where, rebalance))
        return pd.concat(frames, ignore_index=True)

    def save(self, folder: Path) -> None:
        """Write the three files into an existing folder; the statement contains their digests."""
        tensors = {
            f"network.{name}": p.detach().contiguous()
            for name, p in self.network.named_parameters()
        }
        for name, array in self.codebook.to_arrays().items():
            stored = array.astype(np.int32) if array.dtype.kind in "iu" else array
            tensors[name] = torch.from_numpy(stored.copy())
        # one entry only: safetensors writes several entries in random order, but equal studies must
        # give equal files
        shape = self.network.shape
        kind = next(name for name, of in FORMATS.items() if isinstance(shape, of))
        header = {"format": kind, "shape": shape.model_dump()}
        save_file(tensors, folder / WEIGHTS, metadata={"fedsynth": json.dumps(header)})
        self.schema.save(folder / SCHEMA)
        self.statement = self.statement.sealed(digests_of(folder))
        (folder / STATEMENT).write_text(self.statement.to_json(), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path | str) -> "Generator":
        """Read a generator folder.

        Raises:
            InputError: a file is missing or damaged; the message names it.
        """
        folder = Path(folder)
        if not folder.exists():
            raise InputError(f"{folder}: no such folder; expected a generator folder of fedsynth")
        for name in (WEIGHTS, SCHEMA, STATEMENT):
            if not (folder / name).is_file():
                raise InputError(f"{folder}: no {name}; expected a generator folder of fedsynth")
        schema = Schema.load(folder / SCHEMA)
        statement = PrivacyStatement.load(folder / STATEMENT)
        path = folder / WEIGHTS
        tensors, shape = read_weights(path)
        try:
            network, codebook = (
                network_of(tensors, shape),
                codebook_of(tensors, history_schema(schema)),
            )
        except (ValueError, KeyError, RuntimeError, TypeError, InputError):
            raise damaged(path) from None
        if tuple(codebook.widths) != shape.widths or not fits(shape, schema, codebook):
            raise InputError(f"{path}: does not belong to the schema beside it")
        loaded = cls(network, codebook, schema, statement)
        if not all(np.isfinite(table).all() for table in loaded._sampler.tables):
            raise damaged(path)
        _check_digests(folder, statement)
        return loaded


def _check_digests(folder: Path, statement: PrivacyStatement) -> None:
    """Refuse files that are intact but are not the files that the statement is about."""
    for name in DIGESTED:
        if statement.artefacts.get(name) != sha256_of(folder / name):
            raise InputError(f"{folder / name}: its SHA-256 is not the one in {STATEMENT}")


def _rng(seed: int | None) -> np.random.Generator:
    if seed is not None and seed < 0:
        raise InputError(f"--seed {seed}: expected a whole number from 0 on")
    return np.random.default_rng(seed)
