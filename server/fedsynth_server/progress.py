"""What a person sees while a study runs: per phase a line with step, time left, sites and ε spent.

Quiet when the output is neither a terminal nor a notebook that can draw it (with `ipywidgets`).
"""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from fedsynth_release.progress import shows_progress


class StudyProgress:
    """A rich progress bar with one task per phase; use as a context manager."""

    def __init__(self, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._bar = Progress(
            TextColumn("[bold]{task.description:<24}"),
            BarColumn(),
            TextColumn("{task.completed:>5}/{task.total:<5}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}"),
            console=console,
            disable=not shows_progress(console),
        )
        self._tasks: dict[str, TaskID] = {}
        self._latest: TaskID | None = None

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    @property
    def shown(self) -> bool:
        """Whether anybody is looking; notes that take time to compute are left out otherwise."""
        return not self._bar.disable

    def update(self, phase: str, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` steps of a phase are through."""
        if phase not in self._tasks:
            self._tasks[phase] = self._bar.add_task(phase, total=total, note=note)
        self._latest = self._tasks[phase]
        self._bar.update(self._latest, completed=done, total=total, note=note)

    def waiting(self, sites: dict[str, str]) -> None:
        """Say for which sites the study waits, and why; of none if it does not wait."""
        first = next((f"waiting for {site}: {why}" for site, why in sites.items()), "")
        if first and self.shown:
            self.doing(first)

    def doing(self, what: str) -> None:
        """Say what the latest phase does between two of its steps, beside its bar and nowhere else."""
        if self._latest is not None:
            self._bar.update(self._latest, note=what)
