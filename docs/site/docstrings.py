"""Docstrings become Markdown: a Griffe extension that mkdocstrings loads.

The docstrings put `>>>` examples where they explain best and not into a section of their own, and
begin lists directly below a sentence. Markdown would take the examples for quotations and the lists
for running text.
"""

import re
from typing import Any

import griffe


def as_markdown(text: str) -> str:
    """The docstring with a fence around every block of `>>>`, and a blank line before each list."""
    lines: list[str] = []
    fence = None
    for line in text.split("\n"):
        margin = line[: len(line) - len(line.lstrip())]
        if fence is None and line.lstrip().startswith(">>> "):
            fence = margin
            lines.append(f"{fence}```pycon")
        elif fence is not None and not line.strip():
            lines.append(f"{fence}```")
            fence = None
        elif fence is None and re.match(r"[*-] ", line) and lines and _ends_a_sentence(lines[-1]):
            lines.append("")
        lines.append(line)
    return "\n".join([*lines, f"{fence}```"] if fence is not None else lines)


def _ends_a_sentence(line: str) -> bool:
    """Whether a line is running text, after which a list needs a blank line."""
    return bool(line.strip()) and not re.match(r"[*-] |\s", line)


class DocstringsAsMarkdown(griffe.Extension):
    """Converts each docstring as its object is read."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called by Griffe for each module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = as_markdown(obj.docstring.value)
