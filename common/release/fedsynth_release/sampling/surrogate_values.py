"""Makes up ids and texts for drawn records, from the schema and random numbers alone.

The texts of a unique column must not repeat, but remembering all earlier texts would need memory.
Row i of a run therefore gets text number pi(i), where pi is a random permutation of all texts that
the pattern allows. The permutation is computed and never stored. It is a Feistel network of four
rounds on the numbers below a power of four, applied again until the result is the number of a text
(Black and Rogaway 2002, cycle walking). The texts are thus unique over a run of any length, need
constant memory and look random. If a pattern has more than 2**62 texts, only their last characters
are made unique.
"""

from collections.abc import Callable, Collection
from math import prod

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fedsynth_common.array_types import UInt64Array
from fedsynth_common.errors import InputError
from fedsynth_common.schema import IdColumn, Schema, TextColumn, Unique
from fedsynth_common.schema.surrogates import Pattern

MOST = 1 << 62
ROUNDS = 4
_PATTERNS = {  # country code 999 is not assigned, and example.org is reserved for examples (RFC 2606)
    "phone": r"\+999 [0-9]{3} [0-9]{6}",
    "email": r"[a-z]{2}[a-z0-9]{8}@example\.org",
}
_STARTS = ("ba", "da", "el", "fi", "ka", "le", "mi", "no", "or", "pe", "ra", "si", "ta", "ul", "vo")
_ENDS = ("bor", "den", "kin", "lan", "mar", "nek", "ris", "sen", "tov", "van", "wes", "zan")


class Surrogates:
    """The made-up columns of one run of drawing."""

    def __init__(
        self,
        schema: Schema,
        rows: int,
        rng: np.random.Generator,
        names: Collection[str] | None = None,
    ) -> None:
        """Plan a run of `rows` records; `names` are the columns to make up, by default all.

        Raises:
            InputError: the pattern of a unique column allows fewer texts than there are rows.
        """
        self.schema, self._rng = schema, rng
        named = {rule.column for rule in schema.rules if isinstance(rule, Unique)}
        self._makers: dict[str, Callable[[int, int], list[str] | list[None]]] = {
            column.name: self._maker(column, rows, column.unique or column.name in named)
            for column in schema.surrogates
            if names is None or column.name in names
        }

    def added(self, frame: pd.DataFrame, start: int) -> pd.DataFrame:
        """The frame with the made-up columns added, in the schema's order.

        `start` is the number of the frame's first row in the run.
        """
        made = {
            name: pd.Series(maker(start, len(frame)), dtype="str")
            for name, maker in self._makers.items()
            if name not in frame
        }
        if not made:
            return frame
        whole = frame.assign(**made)
        return whole[[column.name for column in self.schema.columns if column.name in whole]]

    def _maker(
        self, column: IdColumn | TextColumn, rows: int, unique: bool
    ) -> Callable[[int, int], list[str] | list[None]]:
        if column.provider == "sequence":
            return lambda start, count: [str(start + i + 1) for i in range(count)]
        if column.provider == "uuid":
            return lambda start, count: self._uuids(count)
        if column.provider == "empty":
            return lambda start, count: [None] * count
        if column.provider == "name":
            return lambda start, count: self._names(count)
        pattern = Pattern.parse(column.pattern or _PATTERNS[column.provider or ""])
        if not unique:
            return lambda start, count: self._texts(pattern.places, count)
        if rows > pattern.texts:
            fault = f"its pattern has {pattern.texts} texts, too few for {rows} unique ones"
            raise InputError(f"column {column.name!r}: {fault}; widen the pattern")
        return self._unique(pattern)

    def _unique(self, pattern: Pattern) -> Callable[[int, int], list[str]]:
        tail = len(pattern.places)
        while tail > 0 and prod(map(len, pattern.places[tail - 1 :])) <= MOST:
            tail -= 1
        free, numbered = pattern.places[:tail], pattern.places[tail:]
        size = prod(map(len, numbered))
        keys = self._rng.integers(1, 1 << 62, ROUNDS, dtype=np.uint64)

        def make(start: int, count: int) -> list[str]:
            numbers = permuted(np.arange(start, start + count, dtype=np.uint64), size, keys)
            ends = _spelled(numbers, numbered)
            return [a + b for a, b in zip(self._texts(free, count), ends, strict=True)]

        return make

    def _texts(self, places: tuple[str, ...], count: int) -> list[str]:
        """Texts drawn uniformly and independently of each other."""
        drawn = [np.array(list(p))[self._rng.integers(0, len(p), count)] for p in places]
        return _strings(drawn, count)

    def _uuids(self, count: int) -> list[str]:
        digits = [f"{b:02x}" for b in range(256)]
        raw = self._rng.integers(0, 256, (count, 16), dtype=np.int64)
        raw[:, 6], raw[:, 8] = (
            raw[:, 6] & 0x0F | 0x40,
            raw[:, 8] & 0x3F | 0x80,
        )  # RFC 9562, version 4
        texts = ("".join(map(digits.__getitem__, row)) for row in raw.tolist())
        return [f"{t[:8]}-{t[8:12]}-{t[12:16]}-{t[16:20]}-{t[20:]}" for t in texts]

    def _names(self, count: int) -> list[str]:
        """Invented given and family names, made of random syllables."""
        words = [
            np.array(list_)[self._rng.integers(0, len(list_), count)]
            for list_ in (_STARTS, _ENDS, _STARTS, _STARTS, _ENDS)
        ]
        rows = zip(*(word.tolist() for word in words), strict=True)
        return [f"{(a + b).title()} {(c + d + e).title()}" for a, b, c, d, e in rows]


def permuted(numbers: UInt64Array, size: int, keys: UInt64Array) -> UInt64Array:
    """The numbers under a permutation of the numbers below `size`, which the keys choose.

    >>> sorted(permuted(np.arange(10, dtype=np.uint64), 10, np.arange(4, dtype=np.uint64)).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
    result = _feistel(numbers, half, keys)
    while (outside := result >= np.uint64(size)).any():
        result[outside] = _feistel(result[outside], half, keys)
    return result


def _feistel(numbers: UInt64Array, half: np.uint64, keys: UInt64Array) -> UInt64Array:
    mask = np.uint64((1 << int(half)) - 1)
    left, right = numbers >> half, numbers & mask
    for key in keys:
        left, right = right, left ^ (_mixed(right ^ key) & mask)
    return np.asarray(left << half | right, dtype=np.uint64)


def _mixed(numbers: UInt64Array) -> UInt64Array:
    """The finaliser of SplitMix64 (Steele et al. 2014): every bit depends on all others."""
    mixed = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def _spelled(numbers: UInt64Array, places: tuple[str, ...]) -> list[str]:
    """The texts with the given numbers: each place of the pattern is a digit of a mixed radix."""
    letters: list[NDArray[np.str_]] = []
    left = numbers
    for place in reversed(places):
        left, digit = np.divmod(left, np.uint64(len(place)))
        letters.append(np.array(list(place))[digit.astype(np.int64)])
    return _strings(letters[::-1], len(numbers))


def _strings(letters: list[NDArray[np.str_]], count: int) -> list[str]:
    """Join columns of single characters to one string per row."""
    if not letters:
        return [""] * count
    matrix = np.ascontiguousarray(np.stack(letters, axis=1))
    return [str(text) for text in matrix.view(f"<U{matrix.shape[1]}").ravel().tolist()]
