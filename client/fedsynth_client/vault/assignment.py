"""A checked request for training, and what follows from it before a record is touched.

Three public quantities follow: how much memory a piece of a batch takes, how far rounding can move a
gradient, and by how much the noise must be larger for that.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

from fedsynth_common.array_types import Float32Array, UInt16Array
from fedsynth_common.networks import Discriminator, layers_of, load_flat
from fedsynth_common.networks.event_windows import EventWindows
from fedsynth_common.privacy.rounding import row_error, row_limit, slack
from fedsynth_common.protocol.plan import DiscriminatorPlan

_VALUES, _MOST_VALUES = 1 << 22, 1 << 25  # float64 values of a piece; more if one person needs it
_ROWS, _ROWS_OF_UNITS, _UNITS = 1024, 512, 256  # most in a piece: more is no faster


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """A checked request.

    Attributes:
        plan: the training that sites approved.
        views: of each column of the records, from fine codes to codes.
        widths: codes of each column of the rows that are trained on.
        weights, moments: of the discriminator and of Adam.
        message: its number among the training messages of the study, from 0.
        rows_per_person: most rows of a person.
        windows: of histories, how an event becomes a row; None where records are the rows.
    """

    plan: DiscriminatorPlan
    views: tuple[UInt16Array, ...]
    widths: tuple[int, ...]
    weights: Float32Array
    moments: Float32Array
    message: int
    rows_per_person: int = 1
    windows: EventWindows | None = None

    @property
    def masked(self) -> int:
        """The number of columns that are predicted of each row."""
        columns = len(self.widths) if self.windows is None else len(self.windows.predicted)
        return min(self.plan.masked_columns, columns)


@dataclass(frozen=True)
class Sizes:
    """How much is computed at once. It follows from public quantities, and privacy does not need it."""

    rows: int
    units: int
    values: int
    """Float64 values that the gradients of one piece need."""

    @staticmethod
    def of(order: Assignment) -> "Sizes":
        """Rows and persons in a piece. All rows of a person fit into one."""
        hidden, width, widest = order.plan.hidden, sum(order.widths), max(order.widths)
        copies = order.masked * (6 * sum(hidden) + 2 * widest)
        row = width + copies + sum(2 * a * b for a, b in pairwise(hidden))
        if order.rows_per_person == 1:
            usual = math.ceil(order.plan.expected_batch + 2 * math.sqrt(order.plan.expected_batch))
            most = max(1, min(_ROWS, _VALUES // row))
            rows = math.ceil(usual / math.ceil(usual / most))
            return Sizes(rows, rows, rows * row)
        row += widest * (hidden[-1] + 1)
        rows = max(order.rows_per_person, min(_ROWS_OF_UNITS, _VALUES // row))
        units = max(1, min(_UNITS, _VALUES // (widest * (hidden[-1] + 1))))
        return Sizes(rows, units, rows * row)


def rounding_of(network: Discriminator, order: Assignment) -> float:
    """How far rounding can move a row's gradient at most with these weights (`rounding.row_error`)."""
    layers = [(weight.numpy(), bias.numpy()) for weight, bias in layers_of(network)]
    return row_error(
        layers,
        columns=len(order.widths),
        masked=order.masked,
        widest=max(order.widths),
        rows=order.rows_per_person,
    )


def slack_of(order: Assignment) -> float:
    """By how much the noise is larger, because rounding adds to the sensitivity (`rounding.slack`)."""
    return slack(
        order.plan.hidden,
        expected_batch=order.plan.expected_batch,
        rows=order.rows_per_person,
        parameters=order.weights.size,
        clipping_norm=order.plan.clipping_norm,
    )


def within_bounds(order: Assignment) -> bool:
    """Whether rounding is within its bound for these weights, and a person's rows fit into memory."""
    if Sizes.of(order).values > _MOST_VALUES:
        return False
    network = Discriminator(sum(order.widths), order.plan.hidden).double()
    load_flat(network, order.weights)
    return rounding_of(network, order) <= row_limit(order.plan.hidden)
