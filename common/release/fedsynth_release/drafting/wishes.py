"""What a person says about a table before a schema is drafted from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from fedsynth_common.errors import InputError
from fedsynth_release.drafting.moment_patterns import ORDERS, Order

Decimal = Literal[".", ","]
Kind = Literal["categorical", "id", "text"]
"""A kind that cells alone do not show: numbers can be codes or keys, and texts can be either."""


@dataclass(frozen=True)
class Wishes:
    """What a person has said about the table.

    Attributes:
        target: The column that analysts will want to predict.
        max_categories: Most categories to list, where that covers four fifths of the cells.
        date_order: How day, month and year follow each other.
        decimal: The decimal mark.
        person_key: The column that names the person, if a row is an event of a person: an id.
        order: The column that orders a person's events: a number or a moment, whatever it looks like.
        rules: Whether rules that hold in every row are proposed.
        kinds: By column, its kind, for columns whose cells would be taken for another.
    """

    target: str | None = None
    max_categories: int = 64
    date_order: Order | None = None
    decimal: Decimal | None = None
    person_key: str | None = None
    order: str | None = None
    rules: bool = True
    kinds: Mapping[str, Kind] = field(default_factory=dict)


def wishes_of(
    target: str | None,
    max_categories: int,
    order: str | None,
    decimal: str | None,
    person_key: str | None = None,
    event_order: str | None = None,
) -> Wishes:
    """The wishes of somebody at a terminal.

    Raises:
        InputError: an order or a mark that there is not.
    """
    if order is not None and order not in ORDERS:
        raise InputError(f"--date-order {order}: expected one of {', '.join(ORDERS)}")
    if decimal not in (None, ".", ","):
        raise InputError(f"--decimal {decimal!r}: expected '.' or ','")
    known: Order | None = next((one for one in ORDERS if one == order), None)
    mark: Decimal | None = "," if decimal == "," else "." if decimal == "." else None
    return Wishes(target, max_categories, known, mark, person_key, event_order)
