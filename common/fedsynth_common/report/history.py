"""How the coordinator's training went, as numbers that a report may draw.

Everything in it is the coordinator's own: losses on noisy marginals, seconds, bytes. Nothing is ever
said by a site in the clear, so nothing here costs privacy. Whoever trains fills it in; a report
leaves its section out where there is none.
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fedsynth_common.artefact.files import load_model

Finite = Annotated[float, Field(allow_inf_nan=False)]
MOST_POINTS = 200
"""Points of a curve that are kept: more cannot be seen."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Curve(_Part):
    """One figure over the course of the training: `values` (in `unit`) at `steps` (of `x`)."""

    name: str
    unit: str = ""
    x: str = "step"
    steps: tuple[Finite, ...]
    values: tuple[Finite, ...]

    @model_validator(mode="after")
    def _pairs_up(self) -> Self:
        if len(self.steps) != len(self.values) or not self.steps:
            raise ValueError(f"curve {self.name!r}: expected as many steps as values, at least one")
        return self

    def thinned(self, most: int = MOST_POINTS) -> "Curve":
        """The same with at most about `most` points, the last one included."""
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

    def to_json(self) -> str:
        """Indented JSON."""
        return self.model_dump_json(indent=1) + "\n"

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a history.

        Raises:
            InputError: missing, unreadable or not a history.
        """
        return load_model(path, cls, "not a history of a study")
