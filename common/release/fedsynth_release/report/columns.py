"""The columns of a report: what is drawn of each, against which reference, and how far to trust it.

The reference is the best there is: real records where an evaluation was made (never for release), else
the noisy measurements of the study, else none, and then the generator's shares stand alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from fedsynth_common.errors import InputError
from fedsynth_common.schema import FineDomain, ModelledColumn, NumericColumn, domain_of
from fedsynth_common.schema.temporal import NUMPY_UNIT, DateColumn, DatetimeColumn
from fedsynth_release.evaluation.results import ColumnFidelity, Evaluation
from fedsynth_release.generator import Generator
from fedsynth_release.measurements import MeasuredColumn, Measurements
from fedsynth_release.report.judgements import (
    Judgement,
    Light,
    measured_relations,
    measured_values,
    relations_of,
    values_of,
    worst,
)
from fedsynth_release.report.plots import Overlay, overlay
from fedsynth_release.sampling.latents import column_probabilities

Floats = NDArray[np.float64]
MOST_CELLS = 40
"""Cells of one column that are drawn; the rarest of a longer list are summed up."""


@dataclass(frozen=True, kw_only=True)
class ColumnView:
    """One column as the page shows it."""

    anchor: str
    name: str
    kind: str
    description: str
    light: Light
    reasons: tuple[str, ...]
    overlay: Overlay
    plot: Markup


def column_views(
    generator: Generator, evaluation: Evaluation | None, measured: Measurements | None
) -> list[ColumnView]:
    """A view of every modelled column, in order.

    Raises:
        InputError: the evaluation is about other columns than the generator.
    """
    modelled = generator.schema.modelled
    names = [column.name for column in modelled]
    if evaluation and [c.name for c in evaluation.fidelity.columns] != names:
        raise InputError(
            "evaluation: its columns are not those of the generator; of another study?"
        )
    shares = generator_shares(generator)
    views = []
    for j, column in enumerate(modelled):
        words = code_labels(column, generator.codebook.views[j])
        if evaluation:
            shown = _real(column, evaluation.fidelity.columns[j])
            judgements = _judged(evaluation, j)
        elif measured:
            shown = _measured(measured.columns[j], shares[j], words, domain_of(column).ordered)
            judgements = (
                measured_values(measured.columns[j], list(shares[j])),
                measured_relations(j, measured.pairs),
            )
        else:
            alone = [float(share) for share in shares[j]]
            shown = Overlay(labels=words, reference=alone, generator=alone)
            judgements = (
                Judgement("unknown", "nothing to compare with: no measurements were kept"),
            )
        shown = _drawn(shown)
        views.append(
            ColumnView(
                anchor=f"column-{j}",
                name=column.name,
                kind=column.kind,
                description=column.description,
                light=worst(*judgements),
                reasons=tuple(judgement.reason for judgement in judgements),
                overlay=shown,
                plot=overlay(column.name, shown),
            )
        )
    return views


def generator_shares(generator: Generator) -> list[Floats]:
    """Exact one-way frequencies of the generator's codes, per column."""
    return [table.mean(axis=0) for table in column_probabilities(generator.network)]


def code_labels(column: ModelledColumn, view: NDArray[np.uint16]) -> list[str]:
    """A short text for every code of a column.

    >>> from fedsynth_common.schema import IntegerColumn
    >>> column = IntegerColumn(name="age", minimum=0, maximum=3, nullable=True)
    >>> code_labels(column, np.array([0, 0, 0, 1, 2], dtype=np.uint16))
    ['0 – 2', '3', 'missing']
    """
    domain = domain_of(column)
    cells = [np.flatnonzero(view == code) for code in range(int(view.max()) + 1)]
    return [_label(column, domain, held) for held in cells]


def _label(column: ModelledColumn, domain: FineDomain, cells: NDArray[np.int64]) -> str:
    first, last = int(cells[0]), int(cells[-1])
    if len(cells) == 1 and first == domain.missing:
        return "missing"
    if not domain.ordered:
        held = [domain.labels[cell] for cell in cells if cell < len(domain.labels)]
        return held[0] if len(held) == 1 else f"{len(held)} rare values"
    if len(cells) == 1 and first < domain.atoms:
        return value_text(column, int(domain.atom_ticks[first]))
    low = int(domain.ticks[max(0, first - domain.atoms)])
    high = int(domain.ticks[min(last - domain.atoms, domain.leaves - 1) + 1]) - 1
    ends = value_text(column, low), value_text(column, high)
    words = ends[0] if low == high else " – ".join(ends)
    # heavy values inside a range have codes of their own
    return words if last - first + 1 == len(cells) else f"rest of {words}"


def value_text(column: ModelledColumn, tick: int) -> str:
    """A tick of an ordered column as a reader knows it: a number, a date, a time."""
    if isinstance(column, DateColumn | DatetimeColumn):
        return str(np.datetime64(tick, NUMPY_UNIT[column.granularity])).replace("T", " ")
    if isinstance(column, NumericColumn) and column.decimals:
        return _number_text(tick / 10**column.decimals)
    return str(tick)


def _number_text(value: float) -> str:
    """About four digits, never an exponent below a million."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.4g}"


def _judged(evaluation: Evaluation, index: int) -> tuple[Judgement, ...]:
    fidelity = evaluation.fidelity
    return values_of(fidelity.columns[index]), relations_of(index, fidelity.pairs)


def _real(column: ModelledColumn, fidelity: ColumnFidelity) -> Overlay:
    shown = fidelity.histogram
    edges = [_edge_text(column, edge) for edge in shown.edges]
    words = list(shown.labels) or [" – ".join(ends) for ends in pairwise(edges)]
    real, made = [*shown.real], [*shown.synthetic]
    if fidelity.missing_real or fidelity.missing_synthetic:
        words.append("missing")
        real.append(fidelity.missing_real)
        made.append(fidelity.missing_synthetic)
    return Overlay(labels=words, reference=real, generator=made, ordered=not shown.labels)


def _edge_text(column: ModelledColumn, edge: float) -> str:
    dated = isinstance(column, DateColumn | DatetimeColumn)
    return value_text(column, round(edge)) if dated else _number_text(edge)


def _measured(
    column: MeasuredColumn, shares: Floats, words: Sequence[str], ordered: bool
) -> Overlay:
    if len(column.frequencies) != len(shares):
        raise InputError("measurements.json: not of this generator")
    return Overlay(
        labels=words,
        reference=column.frequencies,
        generator=[float(share) for share in shares],
        error=column.error,
        ordered=ordered,
    )


def _drawn(shown: Overlay) -> Overlay:
    """The same with at most `MOST_CELLS` cells: the rest of a long list of categories in one."""
    if shown.ordered or len(shown.labels) <= MOST_CELLS:
        return shown
    ranked = sorted(range(len(shown.labels)), key=lambda i: -shown.reference[i])
    kept, rest = sorted(ranked[: MOST_CELLS - 1]), ranked[MOST_CELLS - 1 :]
    sums = [sum(part[i] for i in rest) for part in (shown.reference, shown.generator)]
    return Overlay(
        labels=[*(shown.labels[i] for i in kept), f"{len(rest)} others"],
        reference=[*(shown.reference[i] for i in kept), sums[0]],
        generator=[*(shown.generator[i] for i in kept), sums[1]],
        error=shown.error,
    )
