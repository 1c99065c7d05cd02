"""What moves while something is computed, where somebody can see it: on a terminal or in a notebook."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn


def shows_progress(console: Console) -> bool:
    """Whether a moving bar can be drawn: on a terminal, or in a notebook that has `ipywidgets`."""
    if console.is_jupyter:
        return find_spec("ipywidgets") is not None
    return console.is_terminal


@contextmanager
def stages() -> Iterator[Callable[[str], None]]:
    """Show what is being computed and since when; where nobody can see it, show nothing."""
    console = Console(stderr=True)
    if not shows_progress(console):
        yield lambda _: None
        return
    columns = (SpinnerColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("reading", total=None)
        yield lambda stage: bar.update(task, description=stage)
