"""The quality of a release as its statement tells it: one score, and how many columns have each light.

It is computed in `report.verdicts` from what the sites released, and nowhere else. The report without
real records, the model card, the statement and the terminal all repeat these figures.
"""

from typing import Annotated, Literal, get_args

from pydantic import Field

from fedsynth_release.statement.costs import StatementPart

ESTIMATED = (
    "an estimate from the noisy counts of the sites, made so that it promises too little rather than "
    "too much; no real record was used"
)
"""What the figures are; a fixed text."""
Count = Annotated[int, Field(ge=0)]
Light = Literal["good", "fair", "poor", "unknown"]


class Quality(StatementPart):
    """How far the synthetic records can be trusted, as far as the release itself shows it."""

    score: int | None = Field(
        ge=0, le=100, description="mean over the columns; null if no column has a score"
    )
    light: Light = Field(description="the light of the score")
    columns: dict[Light, Count] = Field(description="how many columns have each light")
    how: str = Field(default=ESTIMATED, description="what the figures were computed from")

    @property
    def words(self) -> str:
        """The score and its light, such as `72 of 100 (fair)`."""
        return "unknown" if self.score is None else f"{self.score} of 100 ({self.light})"

    @property
    def counted(self) -> str:
        """The columns by light, such as `2 good, 3 fair, 1 poor, 0 unknown`."""
        return ", ".join(f"{self.columns.get(light, 0)} {light}" for light in get_args(Light))

    def is_near(self, other: "Quality") -> bool:
        """Whether two are equal but for the rounding of another machine: one point, one column."""
        if (self.score is None) != (other.score is None) or self.how != other.how:
            return False
        names = self.columns.keys() | other.columns.keys()
        pairs = [(self.columns.get(name, 0), other.columns.get(name, 0)) for name in names]
        pairs.append((self.score or 0, other.score or 0))
        total = sum(self.columns.values()) == sum(other.columns.values())
        return total and all(abs(mine - theirs) <= 1 for mine, theirs in pairs)
