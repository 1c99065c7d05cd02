"""history.json: how the coordinator's training went, as numbers that a report can draw.

The coordinator computes everything in this file itself: losses on noisy marginals, seconds and
bytes. No site sends any of it in the clear, so it costs no privacy budget. The training fills it in
(`fedsynth_server.training.curves`). A report without a history leaves the section on training out.

`seconds` are the times that the coordinator waited. They depend on how long a site computes, and so
on how many records the site has. They must stay in the study's own folder; `without_times` gives
the part that may be published.
"""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fedsynth_common.limits import MAX_STATEMENT_BYTES
from fedsynth_common.validated import read_model

Finite = Annotated[float, Field(allow_inf_nan=False)]
HISTORY = "history.json"
"""Name of the file in the folder of a study, and beside an exported generator."""
MOST_POINTS = 200
"""Most points of a curve that are kept; a drawing cannot show more."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Curve(_Part):
    """One figure over the course of the training.

    Attributes:
        name: the name of the curve.
        panel: the title of the drawing that shows the curve, together with other curves of the same
            unit and x. If it is empty, the curve has a drawing of its own, titled with its name.
        unit: the unit of the values; empty for pure numbers.
        x: what the steps count.
        note: how to read the curve, as a part of a sentence.
        steps: the steps, in increasing order.
        values: one value per step.
    """

    name: str
    panel: str = ""
    unit: str = ""
    x: str = "step"
    note: str = ""
    steps: tuple[Finite, ...]
    values: tuple[Finite, ...]

    @property
    def title(self) -> str:
        """The title of the drawing that shows the curve."""
        return self.panel or self.name

    @model_validator(mode="after")
    def _pairs_up(self) -> Self:
        if len(self.steps) != len(self.values) or not self.steps:
            raise ValueError(f"curve {self.name!r}: expected as many steps as values, at least one")
        if any(before >= after for before, after in pairwise(self.steps)):
            raise ValueError(f"curve {self.name!r}: expected steps that increase")
        return self

    def thinned(self, most: int = MOST_POINTS) -> "Curve":
        """The curve with at most `most` evenly spaced points, and its last point."""
        stride = -(-len(self.steps) // most)
        points = sorted({*range(0, len(self.steps), stride), len(self.steps) - 1})
        steps, values = (tuple(part[i] for i in points) for part in (self.steps, self.values))
        return self.model_copy(update={"steps": steps, "values": values})


class StudyHistory(_Part):
    """Curves, seconds by phase, bytes per site, and one note for everything that went wrong."""

    curves: tuple[Curve, ...] = ()
    seconds: dict[str, Finite] = {}
    bytes_per_site: int = 0
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _is_about_different_things(self) -> Self:
        names = {(curve.title, curve.name) for curve in self.curves}
        if len(names) < len(self.curves):
            raise ValueError("curves: expected each name once in a panel")
        axes = {(curve.title, curve.unit, curve.x) for curve in self.curves}
        if len({title for title, _, _ in axes}) < len(axes):
            raise ValueError("curves: expected one unit and one x in a panel")
        return self

    def without_times(self) -> "StudyHistory":
        """The part that may leave the coordinator."""
        return self.model_copy(update={"seconds": {}})

    def to_json(self) -> str:
        """The history as indented JSON."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a history.

        Raises:
            InputError: the file is missing, cannot be read or is not a history.
        """
        return read_model(path, cls, MAX_STATEMENT_BYTES, "not a history of a study")
