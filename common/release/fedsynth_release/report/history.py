"""How the coordinator's training went, as numbers that a report may draw: `history.json`.

Everything in it is the coordinator's own: losses on noisy marginals, seconds, bytes. Nothing is ever
said by a site in the clear, so nothing here costs privacy. Whoever trains fills it in
(`fedsynth_server.training.curves`); a report leaves its section out where there is none.

`seconds` are what the coordinator waited, so they depend on how long sites compute, hence on how many
records they have. They are for the study's own folder: `without_times` is what may be published.
"""

from itertools import pairwise
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fedsynth_common.limits import MAX_STATEMENT_BYTES
from fedsynth_common.validated import read_model

Finite = Annotated[float, Field(allow_inf_nan=False)]
HISTORY = "history.json"
"""Where it stands: in the folder of a study, and beside an exported generator."""
MOST_POINTS = 200
"""Points of a curve that are kept: more cannot be seen."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Curve(_Part):
    """One figure over the course of the training.

    Attributes:
        name: of the line.
        panel: title of the drawing that it is in, together with others of the same unit and x;
            empty: alone in a drawing with its own name.
        unit: of the values; empty for pure numbers.
        x: what the steps count.
        note: how to read it, half a sentence.
        steps: increasing, so that no point stands twice.
        values: one per step.
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
        """Of the drawing that it is in."""
        return self.panel or self.name

    @model_validator(mode="after")
    def _pairs_up(self) -> Self:
        if len(self.steps) != len(self.values) or not self.steps:
            raise ValueError(f"curve {self.name!r}: expected as many steps as values, at least one")
        if any(before >= after for before, after in pairwise(self.steps)):
            raise ValueError(f"curve {self.name!r}: expected steps that increase")
        return self

    def thinned(self, most: int = MOST_POINTS) -> "Curve":
        """The same with at most `most` points and the last one."""
        stride = -(-len(self.steps) // most)
        kept = sorted({*range(0, len(self.steps), stride), len(self.steps) - 1})
        steps, values = (tuple(part[i] for i in kept) for part in (self.steps, self.values))
        return self.model_copy(update={"steps": steps, "values": values})


class StudyHistory(_Part):
    """Curves, seconds by phase, bytes per site, and one line for everything that went wrong."""

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
        """What may leave the coordinator."""
        return self.model_copy(update={"seconds": {}})

    def to_json(self) -> str:
        """Indented JSON."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a history.

        Raises:
            InputError: missing, unreadable or not a history.
        """
        return read_model(path, cls, MAX_STATEMENT_BYTES, "not a history of a study")
