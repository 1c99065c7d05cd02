"""drift.json: what changed between a cohort and the earlier ones, beyond noise and chance.

The coordinator computes it from the noisy counts of both sides, so it costs no privacy. A change is
listed if it would be rare without any change: over all columns and pairs of one refresh together, at
least one false entry is expected in a share `level` of all refreshes at most (Holm 1979). A change that
is too small for the noise is not listed, so an empty list does not say that nothing has changed.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from fedsynth_common.array_types import BoolArray, Float64Array
from fedsynth_common.limits import MAX_STATEMENT_BYTES
from fedsynth_common.schema import Schema
from fedsynth_common.validated import read_model

LEVEL = 0.01
MOST_MOVED = 3
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Noisy = Annotated[float, Field(allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Moved(_Part):
    """The share of one value or group of values, before and now; both are noisy."""

    value: str
    before: Noisy
    now: Noisy


class ColumnDrift(_Part):
    """One column.

    Attributes:
        p_value: how often noise and chance alone would give a difference of this size.
        changed: whether that is rare, all tests of the refresh considered.
        size: total variation distance of before and now, less what noise explains of it.
        moved: the values that moved most, of a column that changed.
    """

    column: str
    p_value: Share
    changed: bool
    size: Share
    moved: tuple[Moved, ...] = ()


class PairDrift(_Part):
    """A pair of columns whose dependence changed.

    `beside_columns` says that one of the two changed by itself, which can change a dependence too.
    """

    columns: tuple[str, str]
    p_value: Share
    size: Share
    beside_columns: bool


class Drift(_Part):
    """What changed in the newest cohort."""

    beyond: ClassVar[str] = "noise"

    format_version: Literal[1] = 1
    cohort: str
    earlier: tuple[str, ...]
    level: Share
    tests: int
    columns: tuple[ColumnDrift, ...]
    pairs: tuple[PairDrift, ...]

    @property
    def changed(self) -> tuple[ColumnDrift, ...]:
        """The columns that changed."""
        return tuple(column for column in self.columns if column.changed)

    def lines(self, most: int = 10) -> Iterator[str]:
        """For a terminal: what changed, most certain first."""
        found = len(self.changed), len(self.pairs)
        columns = f"{found[0]} column{'s' * (found[0] != 1)}"
        pairs = f"{found[1]} pair{'s' * (found[1] != 1)}"
        yield f"cohort {self.cohort}: {columns} and {pairs} changed beyond {self.beyond}"
        for column in sorted(self.changed, key=lambda c: c.p_value)[:most]:
            moved = ", ".join(f"{m.value}: {m.before:.1%} -> {m.now:.1%}" for m in column.moved)
            yield f"  {column.column}: {moved}"
        for pair in sorted(self.pairs, key=lambda p: p.p_value)[:most]:
            beside = " (one of them changed by itself)" if pair.beside_columns else ""
            yield f"  {pair.columns[0]} and {pair.columns[1]}: another dependence{beside}"

    def to_json(self) -> str:
        """The text of the file."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read the file.

        Raises:
            InputError: missing or damaged.
        """
        return read_model(path, cls, MAX_STATEMENT_BYTES, "damaged")


Tested = tuple[float, float]
"""p-value and size of one change."""


def tested_columns(schema: Schema) -> list[int]:
    """The modelled columns but the one that cuts the table, which differs in every cohort."""
    cut = schema.cohorts.column if schema.cohorts else None
    return [c for c, column in enumerate(schema.modelled) if column.name != cut]


def findings(
    names: Sequence[str],
    singles: Mapping[int, Tested],
    doubles: Mapping[tuple[int, int], Tested],
    cohorts: Sequence[str],
    moved: Callable[[int], tuple[Moved, ...]],
) -> Drift:
    """What Holm's procedure finds among all tests together.

    Args:
        names: of all modelled columns.
        singles: the tested columns.
        doubles: the tested pairs.
        cohorts: names of those of both sides, the newest last.
        moved: the values of a column whose shares moved most.
    """
    rare = holm([p for p, _ in (*singles.values(), *doubles.values())], LEVEL).tolist()
    changed = dict(zip(singles, rare[: len(singles)], strict=True))
    pairs = [pair for pair, found in zip(doubles, rare[len(singles) :], strict=True) if found]
    return Drift(
        cohort=cohorts[-1],
        earlier=tuple(cohorts[:-1]),
        level=LEVEL,
        tests=len(rare),
        columns=tuple(
            ColumnDrift(
                column=names[c],
                p_value=p,
                changed=changed[c],
                size=size,
                moved=moved(c) if changed[c] else (),
            )
            for c, (p, size) in singles.items()
        ),
        pairs=tuple(
            PairDrift(
                columns=(names[a], names[b]),
                p_value=doubles[a, b][0],
                size=doubles[a, b][1],
                beside_columns=changed[a] or changed[b],
            )
            for a, b in pairs
        ),
    )


def holm(p_values: Sequence[float], level: float) -> BoolArray:
    """Which hypotheses Holm's procedure rejects, with at most `level` for any false rejection.

    >>> holm([0.001, 0.04, 0.02], 0.05).tolist()
    [True, True, True]
    >>> holm([0.001, 0.04, 0.03], 0.05).tolist()
    [True, False, False]
    """
    p = np.asarray(p_values)
    order = np.argsort(p, kind="stable")
    passed = p[order] <= level / np.arange(len(p), 0, -1)
    rejected = np.zeros(len(p), dtype=bool)
    rejected[order[: int(np.cumprod(passed).sum())]] = True
    return rejected


def largest(names: Sequence[str], before: Float64Array, now: Float64Array) -> tuple[Moved, ...]:
    """The values whose shares moved most, at most `MOST_MOVED` of them."""
    order = np.argsort(-np.abs(now - before), kind="stable")[:MOST_MOVED]
    return tuple(
        Moved(value=names[k], before=round(float(before[k]), 4), now=round(float(now[k]), 4))
        for k in order
    )
