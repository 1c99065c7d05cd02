"""The columns of a report: the drawing of each column, its reference, and how far to trust it.

The reference is the best one available. With an evaluation it is the real records, and the report
must not be published. Otherwise it is the noisy measurements of the study. If there are none
either, the generator's shares are shown without a reference.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from markupsafe import Markup

from fedsynth_common.array_types import Float64Array, UInt16Array
from fedsynth_common.schema import ModelledColumn, domain_of
from fedsynth_common.schema.temporal import DateColumn, DatetimeColumn
from fedsynth_release.code_labels import code_labels, number_text, value_text
from fedsynth_release.evaluation.amounts import ComparedAmounts
from fedsynth_release.evaluation.number_errors import AMOUNTS
from fedsynth_release.evaluation.results import ColumnFidelity, Evaluation
from fedsynth_release.generator import Generator
from fedsynth_release.measurements import MeasuredColumn, Measurements
from fedsynth_release.report.expected import MeasuredShares
from fedsynth_release.report.expected_amounts import compared_amounts
from fedsynth_release.report.plots import Overlay, overlay
from fedsynth_release.report.scores import Light
from fedsynth_release.report.verdicts import Verdict, generator_shares, verdicts_of

MOST_BARS = 40
"""Most bars that are drawn for one column; the rarest categories of a longer list form one bar."""


@dataclass(frozen=True, kw_only=True)
class ColumnView:
    """What the page shows about one column."""

    anchor: str
    name: str
    kind: str
    description: str
    verdict: Verdict
    overlay: Overlay
    plot: Markup
    amounts: ComparedAmounts | None = None

    @property
    def light(self) -> Light:
        """The light of its verdict."""
        return self.verdict.light

    @property
    def reasons(self) -> tuple[str, ...]:
        """The reasons of its verdict."""
        return self.verdict.reasons


def column_views(
    generator: Generator, evaluation: Evaluation | None, measured: Measurements | None
) -> list[ColumnView]:
    """One view for each modelled column, in order.

    Raises:
        InputError: the evaluation or the measurements are about other columns than the generator.
    """
    modelled = generator.model_schema.modelled
    verdicts = verdicts_of(generator, evaluation, measured)
    shares = generator_shares(generator)
    views = []
    for j, (column, verdict) in enumerate(zip(modelled, verdicts, strict=True)):
        labels = code_labels(column, generator.codebook.views[j])
        if evaluation:
            bars = _beside_real(column, evaluation.fidelity.columns[j])
        elif measured:
            view = generator.codebook.views[j]
            bars = _beside_measured(column, measured.columns[j], shares[j], labels, view)
        else:
            own = [float(share) for share in shares[j]]
            bars = Overlay(labels=labels, reference=own, generator=own)
        bars = _with_fewer_bars(bars)
        views.append(
            ColumnView(
                anchor=f"column-{j}",
                name=column.name,
                kind=column.kind,
                description=column.description,
                verdict=verdict,
                overlay=bars,
                plot=overlay(column.name, bars),
                amounts=(
                    evaluation.fidelity.columns[j].amounts
                    if evaluation
                    else _expected_amounts(generator, measured, j, shares[j])
                ),
            )
        )
    return views


def _expected_amounts(
    generator: Generator, measured: Measurements | None, index: int, shares: Float64Array
) -> ComparedAmounts | None:
    """Mean, spread and quantiles of a number by the noisy counts and by the generator."""
    column = generator.model_schema.modelled[index]
    if measured is None or column.kind not in AMOUNTS:
        return None
    tables = np.array(measured.columns[index].frequencies), shares
    real, made = (
        MeasuredShares.of(column, generator.codebook, index, (table, 0.0, 0.0), measured.records)
        for table in tables
    )
    return compared_amounts(real, made)


def _beside_real(column: ModelledColumn, fidelity: ColumnFidelity) -> Overlay:
    """The bars of a column in the real and in the synthetic records."""
    histogram = fidelity.histogram
    edges = [_edge_text(column, edge) for edge in histogram.edges]
    ordered = bool(histogram.edges)
    labels = [" – ".join(ends) for ends in pairwise(edges)] if ordered else [*histogram.labels]
    real, synthetic = [*histogram.real], [*histogram.synthetic]
    if fidelity.missing_real or fidelity.missing_synthetic:
        labels.append("missing")
        real.append(fidelity.missing_real)
        synthetic.append(fidelity.missing_synthetic)
    bars = Overlay(
        labels=labels,
        reference=real,
        generator=synthetic,
        ends=tuple(pairwise(histogram.edges)),
        words=lambda value: _edge_text(column, value),
    )
    return bars if ordered else _sorted(bars)


def _edge_text(column: ModelledColumn, edge: float) -> str:
    dated = isinstance(column, DateColumn | DatetimeColumn)
    return value_text(column, round(edge)) if dated else number_text(edge)


def _beside_measured(
    column: ModelledColumn,
    measured: MeasuredColumn,
    shares: Float64Array,
    labels: Sequence[str],
    view: UInt16Array,
) -> Overlay:
    """The bars of a column in the noisy measurements and in the generator."""
    bars = Overlay(
        labels=labels,
        reference=measured.frequencies,
        generator=[float(share) for share in shares],
        error=measured.error,
    )
    if not domain_of(column).ordered:
        return _sorted(bars)
    return _placed(column, bars, view)


def _placed(column: ModelledColumn, bars: Overlay, view: UInt16Array) -> Overlay:
    """The bars of a number in the order of its values, with where each begins and ends."""
    domain = domain_of(column)
    ends: dict[int, tuple[float, float]] = {}
    for code in range(len(bars.labels)):
        cells = np.flatnonzero(view == code)
        if len(cells) == 1 and int(cells[0]) == domain.missing:
            continue
        atoms = domain.atom_ticks[cells[cells < domain.atoms]]
        leaves = cells[(cells >= domain.atoms) & (cells != domain.missing)] - domain.atoms
        first = [*atoms.tolist(), *domain.ticks[leaves].tolist()]
        last = [*atoms.tolist(), *domain.ticks[leaves + 1].tolist()]
        ends[code] = min(first) / 10.0**domain.decimals, max(last) / 10.0**domain.decimals
    order = sorted(ends, key=lambda code: ends[code])
    rest = [code for code in range(len(bars.labels)) if code not in ends]
    scale = 10.0**domain.decimals
    return replace(
        _picked(bars, [*order, *rest]),
        ends=tuple(ends[code] for code in order),
        words=lambda value: value_text(column, round(value * scale)),
    )


def _picked(bars: Overlay, order: Sequence[int]) -> Overlay:
    return replace(
        bars,
        labels=[bars.labels[k] for k in order],
        reference=[bars.reference[k] for k in order],
        generator=[bars.generator[k] for k in order],
    )


def _sorted(bars: Overlay) -> Overlay:
    """Categories whose names are numbers, in the order of these numbers; else as the schema has them."""

    def number(label: str) -> float:
        try:
            return float(label)
        except ValueError:
            return math.inf

    numbers = [number(label) for label in bars.labels]
    if sum(math.isfinite(value) for value in numbers) < max(2, len(numbers) - 3):
        return bars
    return _picked(bars, sorted(range(len(numbers)), key=numbers.__getitem__))


def _with_fewer_bars(bars: Overlay) -> Overlay:
    """At most `MOST_BARS` bars: the rarest categories of a long list are summed up in one."""
    if bars.ordered or len(bars.labels) <= MOST_BARS:
        return bars
    ranked = sorted(range(len(bars.labels)), key=lambda i: -bars.reference[i])
    frequent, rare = sorted(ranked[: MOST_BARS - 1]), ranked[MOST_BARS - 1 :]
    sums = [sum(shares[i] for i in rare) for shares in (bars.reference, bars.generator)]
    few = _picked(bars, frequent)
    return replace(
        few,
        labels=[*few.labels, f"{len(rare)} others"],
        reference=[*few.reference, sums[0]],
        generator=[*few.generator, sums[1]],
    )
