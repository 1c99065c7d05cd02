"""Orders: what is asked of every site in one `query.measure`, and how to read the answers.

A site sees only fine codes and the public views in the request; it does not know or care what the
marginals are for. All marginals of an order share one noise variance, the least that the plan's step
allows: with m marginals and at most k rows of a person, variance = ceil(m k² z²).
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import pack_views, unpack_counts
from fedsynth_common.protocol.plan import MeasureStep, Plan
from fedsynth_common.schema import FineDomain
from fedsynth_release.decoding import Codebook
from fedsynth_server.marginals import Floats, Marginal

View = NDArray[np.uint16]


@dataclass(frozen=True)
class Item:
    """One marginal of an order: its (column, view) axes and its shape."""

    axes: tuple[tuple[int, int], ...]
    shape: tuple[int, ...]

    @property
    def columns(self) -> tuple[int, ...]:
        """The columns, in the order of the axes."""
        return tuple(column for column, _ in self.axes)


@dataclass(frozen=True)
class Order:
    """A list of marginals under public views, with one noise variance."""

    views: tuple[View, ...]
    items: tuple[Item, ...]
    variance: int

    def request(self, plan: Plan, step: MeasureStep) -> bytes:
        """The serialised `MeasureRequest`."""
        marginals = [
            pb.Marginal(
                axes=[pb.Axis(column=column, view=view) for column, view in item.axes],
                noise_variance=self.variance,
            )
            for item in self.items
        ]
        message = pb.MeasureRequest(
            plan_digest=bytes.fromhex(plan.digest),
            step=step.step,
            views=pack_views(self.views),
            marginals=marginals,
        )
        return message.SerializeToString(deterministic=True)

    def read(self, counts: bytes) -> list[Floats]:
        """One site's noisy counts, an array per item."""
        sizes = [math.prod(item.shape) for item in self.items]
        flat = unpack_counts(counts, sum(sizes)).astype(np.float64)
        parts = np.split(flat, np.cumsum(sizes)[:-1])
        return [part.reshape(item.shape) for part, item in zip(parts, self.items, strict=True)]

    def pool(self, replies: Mapping[str, bytes]) -> list[Floats]:
        """Sums over the sites, in their given order: deterministic in floating point."""
        return added([self.read(counts) for counts in replies.values()])

    def marginals(self, counts: Sequence[Floats], records: float, sites: int = 1) -> list[Marginal]:
        """Counts that `sites` sites sent in sum, as frequencies of their `records`."""
        variance = self.variance * sites / records**2
        return [
            Marginal(columns=item.columns, frequencies=cells / records, variance=variance)
            for item, cells in zip(self.items, counts, strict=True)
        ]


def added(answers: Sequence[Sequence[Floats]]) -> list[Floats]:
    """Sums over the sites of what each of them answered, an array per item."""
    return [np.sum(parts, axis=0) for parts in zip(*answers, strict=True)]


def variance_for(items: int, step: MeasureStep, rows_per_person: int) -> int:
    """The least whole noise variance that keeps `items` marginals within the step's budget.

    >>> variance_for(100, MeasureStep(step=1, purpose="marginals", noise_multiplier=2.0), 1)
    400
    """
    exact = items * rows_per_person**2 * step.noise_multiplier**2
    return max(1, math.ceil(exact * (1 - 1e-12)))


COARSE = 16
"""Groups of the coarse histogram of a column with many cells."""


def histogram_order(domains: Sequence[FineDomain], step: MeasureStep, rows: int) -> Order:
    """Every column's fine histogram and, for numbers with many leaves, a coarse one of 16 groups.

    The coarse counts steady the sums over many fine cells (Hay et al. 2010).
    """
    items = [Item(((j, -1),), (domain.width,)) for j, domain in enumerate(domains)]
    views: list[View] = []
    for j, domain in enumerate(domains):
        if domain.leaves > 2 * COARSE:
            view = coarse_view(domain)
            items.append(Item(((j, len(views)),), (int(view.max()) + 1,)))
            views.append(view)
    return Order(tuple(views), tuple(items), variance_for(len(items), step, rows))


def coarse_view(domain: FineDomain) -> View:
    """Leaves in 16 runs of equal length; every other cell by itself."""
    view = np.empty(domain.width, dtype=np.int64)
    runs = np.arange(domain.leaves) * COARSE // domain.leaves
    view[: domain.atoms] = np.arange(domain.atoms)
    view[domain.atoms : domain.atoms + domain.leaves] = domain.atoms + runs
    rest = domain.width - domain.atoms - domain.leaves
    view[domain.width - rest :] = domain.atoms + COARSE + np.arange(rest)
    return view.astype(np.uint16)


def all_pairs(columns: int) -> list[tuple[int, ...]]:
    """Every pair of columns. A second look at chosen pairs has not paid since marginals are denoised.

    >>> all_pairs(3)
    [(0, 1), (0, 2), (1, 2)]
    """
    return list(itertools.combinations(range(columns), 2))


def marginal_order(
    codebook: Codebook, sets: Sequence[tuple[int, ...]], step: MeasureStep, rows: int
) -> Order:
    """Marginals of the given column sets in the study's codes."""
    widths = codebook.widths
    items = tuple(
        Item(tuple((column, column) for column in columns), tuple(widths[c] for c in columns))
        for columns in sets
    )
    return Order(tuple(codebook.views), items, variance_for(len(items), step, rows))
