"""What all results of an evaluation share: their types, the tables they are about, and estimates."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Finite = Annotated[float, Field(allow_inf_nan=False)]
Matrix = tuple[tuple[Finite, ...], ...]

TableRole = Literal[
    "synthetic", "hold-out", "independent", "dealt", "pseudonymised", "k-anonymised", "leaky"
]
"""The table that a figure is about.

- synthetic: the table that is evaluated;
- hold-out: real rows that nothing was trained on (the ceiling);
- independent: columns drawn independently of each other from the real training rows (the floor);
- dealt: the real training events dealt to persons at random, for persons with histories only; it is
  right within each event and knows nothing about which events belong together;
- pseudonymised: the real training rows without their id columns;
- k-anonymised: the real training rows after Mondrian with k = 5;
- leaky: a table that leaks on purpose (the positive control of every attack).
"""


class Part(BaseModel):
    """A part of a result: immutable, and without unknown fields."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Estimate(Part):
    """A figure with its 95 % confidence interval [low, high]."""

    value: Finite
    low: Finite
    high: Finite
