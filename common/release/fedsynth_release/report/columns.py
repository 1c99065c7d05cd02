"""The columns of a report: the drawing of each column, its reference, and how far to trust it.

The reference is the best one available. With an evaluation it is the real records, and the report
must not be published. Otherwise it is the noisy measurements of the study. If there are none
either, the generator's shares are shown without a reference.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from markupsafe import Markup

from fedsynth_common.array_types import Float64Array, Int64Array, UInt16Array
from fedsynth_common.schema import FineDomain, ModelledColumn, NumericColumn, domain_of
from fedsynth_common.schema.temporal import NUMPY_UNIT, DateColumn, DatetimeColumn
from fedsynth_release.evaluation.results import ColumnFidelity, Evaluation
from fedsynth_release.generator import Generator
from fedsynth_release.measurements import MeasuredColumn, Measurements
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
            ordered = domain_of(column).ordered
            bars = _beside_measured(measured.columns[j], shares[j], labels, ordered)
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
            )
        )
    return views


def code_labels(column: ModelledColumn, view: UInt16Array) -> list[str]:
    """A short text for every code of a column.

    >>> from fedsynth_common.schema import IntegerColumn
    >>> column = IntegerColumn(name="age", minimum=0, maximum=3, nullable=True)
    >>> code_labels(column, np.array([0, 0, 0, 1, 2], dtype=np.uint16))
    ['0 – 2', '3', 'missing']
    """
    domain = domain_of(column)
    cells = [np.flatnonzero(view == code) for code in range(int(view.max()) + 1)]
    return [_label(column, domain, cells_of_code) for cells_of_code in cells]


def _label(column: ModelledColumn, domain: FineDomain, cells: Int64Array) -> str:
    first, last = int(cells[0]), int(cells[-1])
    if len(cells) == 1 and first == domain.missing:
        return "missing"
    if not domain.ordered:
        labels = [domain.labels[cell] for cell in cells if cell < len(domain.labels)]
        return labels[0] if len(labels) == 1 else f"{len(labels)} rare values"
    if len(cells) == 1 and first < domain.atoms:
        return value_text(column, int(domain.atom_ticks[first]))
    low = int(domain.ticks[max(0, first - domain.atoms)])
    high = int(domain.ticks[min(last - domain.atoms, domain.leaves - 1) + 1]) - 1
    ends = value_text(column, low), value_text(column, high)
    label = ends[0] if low == high else " – ".join(ends)
    # frequent values inside the range can have codes of their own, which are not part of this one
    return label if last - first + 1 == len(cells) else f"rest of {label}"


def value_text(column: ModelledColumn, tick: int) -> str:
    """A tick of an ordered column as a text for people: a number, a date or a time."""
    if isinstance(column, DateColumn | DatetimeColumn):
        return str(np.datetime64(tick, NUMPY_UNIT[column.granularity])).replace("T", " ")
    if isinstance(column, NumericColumn) and column.decimals:
        return _number_text(tick / 10**column.decimals)
    return str(tick)


def _number_text(value: float) -> str:
    """A number with about four digits, and without an exponent if it is below a million."""
    return f"{value:.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.4g}"


def _beside_real(column: ModelledColumn, fidelity: ColumnFidelity) -> Overlay:
    """The bars of a column in the real and in the synthetic records."""
    histogram = fidelity.histogram
    edges = [_edge_text(column, edge) for edge in histogram.edges]
    ranges = [" – ".join(ends) for ends in pairwise(edges)]  # of dates, the labels are edges too
    labels = ranges or list(histogram.labels)
    real, synthetic = [*histogram.real], [*histogram.synthetic]
    if fidelity.missing_real or fidelity.missing_synthetic:
        labels.append("missing")
        real.append(fidelity.missing_real)
        synthetic.append(fidelity.missing_synthetic)
    ordered = bool(ranges)
    return Overlay(labels=labels, reference=real, generator=synthetic, ordered=ordered)


def _edge_text(column: ModelledColumn, edge: float) -> str:
    dated = isinstance(column, DateColumn | DatetimeColumn)
    return value_text(column, round(edge)) if dated else _number_text(edge)


def _beside_measured(
    column: MeasuredColumn, shares: Float64Array, labels: Sequence[str], ordered: bool
) -> Overlay:
    """The bars of a column in the noisy measurements and in the generator."""
    return Overlay(
        labels=labels,
        reference=column.frequencies,
        generator=[float(share) for share in shares],
        error=column.error,
        ordered=ordered,
    )


def _with_fewer_bars(bars: Overlay) -> Overlay:
    """At most `MOST_BARS` bars: the rarest categories of a long list are summed up in one."""
    if bars.ordered or len(bars.labels) <= MOST_BARS:
        return bars
    ranked = sorted(range(len(bars.labels)), key=lambda i: -bars.reference[i])
    frequent, rare = sorted(ranked[: MOST_BARS - 1]), ranked[MOST_BARS - 1 :]
    sums = [sum(shares[i] for i in rare) for shares in (bars.reference, bars.generator)]
    return Overlay(
        labels=[*(bars.labels[i] for i in frequent), f"{len(rare)} others"],
        reference=[*(bars.reference[i] for i in frequent), sums[0]],
        generator=[*(bars.generator[i] for i in frequent), sums[1]],
        error=bars.error,
    )
