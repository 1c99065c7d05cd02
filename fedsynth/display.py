"""Draws results for a terminal and for a notebook, from the same tables."""

import html
import io
from collections.abc import Sequence

from rich.console import Console, RenderableType

WIDTH = 110
_FRAME = '<pre style="white-space:pre-wrap;line-height:1.25">{code}</pre>'

Facts = Sequence[tuple[str, str]]
"""What is told of a thing: a heading and a text each."""


def recorder() -> Console:
    """A console that prints nowhere and keeps what it was told to print."""
    return Console(file=io.StringIO(), width=WIDTH, record=True, force_jupyter=False)


def exported(console: Console, *, notebook: bool = False) -> str:
    """What a recorder was told to print, as plain text or as HTML for a notebook."""
    if notebook:
        return console.export_html(inline_styles=True, code_format=_FRAME)
    return console.export_text().rstrip()


def drawn(parts: Sequence[RenderableType], *, notebook: bool = False) -> str:
    """Tables and texts as plain text, or as HTML for a notebook."""
    console = recorder()
    for part in parts:
        console.print(part, highlight=False)
    return exported(console, notebook=notebook)


def facts_text(title: str, facts: Facts) -> str:
    """Facts as lines below a title."""
    width = max(len(heading) for heading, _ in facts)
    lines = [f"  {heading:<{width}}  {text}" for heading, text in facts]
    return "\n".join([title, *lines])


def facts_html(title: str, facts: Facts) -> str:
    """Facts as a small table; every text is escaped."""
    cell = 'style="text-align:left;vertical-align:top"'
    rows = "".join(
        f"<tr><th {cell}>{html.escape(heading)}</th><td {cell}>{html.escape(text)}</td></tr>"
        for heading, text in facts
    )
    return f"<p><b>{html.escape(title)}</b></p><table>{rows}</table>"


class Shown:
    """Shows itself at the prompt and in a notebook, as the parts that it consists of."""

    def _parts(self) -> Sequence[RenderableType]:
        raise NotImplementedError

    def __repr__(self) -> str:
        return drawn(self._parts())

    def __str__(self) -> str:
        return drawn(self._parts())

    def _repr_html_(self) -> str:
        return drawn(self._parts(), notebook=True)
