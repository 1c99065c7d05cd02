"""Pages from the notebooks: their text and code, with a link to the notebook itself.

The notebooks are kept without outputs, and a test executes them. So a page shows what to type, and
whoever opens the notebook sees what comes out.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def as_markdown(notebook: dict[str, Any], file: str) -> str:
    """The notebook's cells, one after the other; `file` is linked below the first cell.

    >>> cells = [{"cell_type": "markdown", "source": ["# One"]}, {"cell_type": "code", "source": "1"}]
    >>> print(as_markdown({"cells": cells}, "one.ipynb"))
    # One
    <BLANKLINE>
    *This page is a notebook: [one.ipynb](one.ipynb).*
    <BLANKLINE>
    ```python
    1
    ```
    <BLANKLINE>
    """
    parts = []
    for cell in notebook["cells"]:
        text = "".join(cell["source"]).strip()
        if text:
            parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    parts.insert(1, f"*This page is a notebook: [{file}]({file}).*")
    return "\n\n".join(parts) + "\n"


def pages(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """(file, title, Markdown) of each notebook of a folder, by name."""
    for path in sorted(folder.glob("*.ipynb")):
        text = as_markdown(json.loads(path.read_text(encoding="utf-8")), path.name)
        yield path, text.split("\n", 1)[0].lstrip("# "), text
