"""Reference pages of the Python packages: one page for each module or folder of modules.

The pages hold a line that names the module; mkdocstrings reads the docstrings from the sources,
without importing anything.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

GENERATED = ("_pb2", "mbi_driver", "__main__")
"""Modules without docstrings of ours: written by the compiler of messages, or run elsewhere."""

LATER_IN_SEARCH = "---\nsearch:\n  boost: 0.1\n---\n"
"""Who searches the site for a word wants the pages that explain it before the modules."""


def modules(package: Path) -> list[str]:
    """Dotted names of all public modules of a package folder, the package itself first."""
    names = []
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        private = any(part.startswith("_") or part.endswith(GENERATED) for part in parts)
        if not private and not any("-" in part for part in parts):
            names.append(".".join(parts))
    return sorted(set(names))


def pages(package: Path) -> Iterator[tuple[str, str]]:
    """(dotted name, Markdown) of each page: the package's own names, then every part of it."""
    parts: dict[str, list[str]] = {}
    for name in modules(package):
        parts.setdefault(".".join(name.split(".")[:2]), []).append(name)
    for page, names in parts.items():
        entries = [_entry(name, page) for name in names]
        yield page, "\n".join([LATER_IN_SEARCH, f"# {page}", "", *entries])


def _entry(name: str, page: str) -> str:
    heading = f"## {name}\n\n" if name != page else ""
    return f"{heading}::: {name}\n"


def public_classes(package: Path) -> Iterator[str]:
    """Dotted names of all public classes at the head of a public module."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name in modules(package):
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    yield f"{name}.{node.name}"
