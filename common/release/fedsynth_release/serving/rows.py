"""What a request for rows asks for, and the rows, drawn a frame at a time by one thread at once.

Drawing uses all cores, so that two draws at once would not be faster, and their memory would add up. A
request that waits for its turn between two frames keeps nothing but the frame that it sends.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import pandas as pd

from fedsynth_common.errors import InputError
from fedsynth_common.limits import printable
from fedsynth_release.generator import Generator

MOST_CONDITIONS, LONGEST_CONDITION = 50, 2000
KNOWN = ("rows", "seed", "where", "rebalance", "format")


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A checked request.

    Attributes:
        rows, seed, where, rebalance: as the options of `fedsynth sample`.
    """

    rows: int
    seed: int | None
    where: tuple[str, ...]
    rebalance: str | None

    @classmethod
    def of(cls, parameters: Mapping[str, Sequence[str]], most: int) -> Self:
        """The request in these query parameters.

        Args:
            parameters: all values by name.
            most: rows that one request may ask for.

        Raises:
            InputError: naming the parameter.
        """
        for name in parameters:
            if name not in KNOWN:
                raise InputError(
                    f"{printable(name, 50)}: is not known; known are {', '.join(KNOWN)}"
                )
            if name != "where" and len(parameters[name]) > 1:
                raise InputError(f"{name}: is given more than once")
        where = tuple(parameters.get("where", ()))
        if len(where) > MOST_CONDITIONS or any(len(one) > LONGEST_CONDITION for one in where):
            raise InputError(
                f"where: at most {MOST_CONDITIONS} conditions of {LONGEST_CONDITION} characters each"
            )
        rebalance = next(iter(parameters.get("rebalance", ())), None)
        return cls(
            rows=_number(parameters, "rows", 1, most) or 100,
            seed=_number(parameters, "seed", 0, 2**63 - 1),
            where=where,
            rebalance=rebalance,
        )


class Rows:
    """Draws for many requests from one generator."""

    def __init__(self, generator: Generator) -> None:
        self.generator = generator
        self._turn = threading.Lock()

    def draw(self, asked: Asked) -> Iterator[pd.DataFrame]:
        """The frames of a request; the first is drawn at once, so that its faults are known.

        Raises:
            InputError: a condition or the shares do not fit the schema.
        """
        with self._turn:
            frames = self.generator.stream(asked.rows, asked.seed, asked.where, asked.rebalance)
            first = next(frames)
        return self._rest(first, frames)

    def _rest(self, first: pd.DataFrame, frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        yield first
        del first
        while True:
            with self._turn:
                frame = next(frames, None)
            if frame is None:
                return
            yield frame
            del frame


def _number(
    parameters: Mapping[str, Sequence[str]], name: str, least: int, most: int
) -> int | None:
    text = next(iter(parameters.get(name, ())), None)
    if text is None:
        return None
    digits = len(text) <= len(str(most)) and text.isascii() and text.isdigit()
    if not digits or not least <= int(text) <= most:
        raise InputError(f"{name}: expected a whole number from {least} to {most}")
    return int(text)
