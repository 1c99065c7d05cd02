"""How a training went, as a thing that shows itself."""

from typing import Any, Self

from rich.table import Table as RichTable
from rich.text import Text

from fedsynth.display import Shown
from fedsynth_release.report import StudyHistory


class History(Shown, StudyHistory):
    """Curves of everything that was trained, bytes per site, and notes on what went wrong.

    `curves` holds every curve with its `steps` and `values`. None of it costs privacy: it was computed
    from noisy numbers.
    """

    @classmethod
    def of(cls, plain: StudyHistory) -> Self:
        """The same history with this class's manners."""
        return cls.model_validate(plain.model_dump())

    def _parts(self) -> list[Any]:
        table = RichTable("curve", "steps", "first", "last", "unit", title="how the training went")
        for curve in self.curves:
            name = f"{curve.panel}: {curve.name}" if curve.panel else curve.name
            ends = (f"{value:.4g}" for value in (curve.values[0], curve.values[-1]))
            table.add_row(Text(name), f"{curve.steps[-1]:,.0f}", *ends, Text(curve.unit))
        told = f"{self.bytes_per_site / 1000:,.0f} kB sent and received by each site"
        return [table, Text(told), *(Text(f"note: {note}") for note in self.notes)]
