"""The blocks of code of a Markdown page."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def fences(text):
    """(language, code) of each fenced block, in order."""
    blocks = []
    language, lines, margin = None, [], ""
    for line in text.splitlines():
        mark = re.match(r"( *)```(\w*)\s*$", line)
        if language is None and mark:
            margin, language = mark[1], mark[2]
            lines = []
        elif language is not None and mark and not mark[2]:
            blocks.append((language, "".join(f"{one.removeprefix(margin)}\n" for one in lines)))
            language = None
        elif language is not None:
            lines.append(line)
    assert language is None, "a fence is not closed"
    return blocks


def typed(text):
    """What a page tells its reader to type: the blocks of commands as one text."""
    return "\n".join(code for language, code in fences(text) if language in ("", "sh", "text"))
