"""What a site installs and imports, in lines: the static import closure of the client.

    python tests/client/site_closure.py [--files]

Follows every import statement, those inside functions and for type checkers included, from each module
of `fedsynth_client` and from the command line that they share. `site score` and `site drift` are left
aside: they need fedsynth-release, which is optional at a site. Code is what is left of the imported
lines without blank lines, comments and docstrings. The last line is about what answers the
coordinator's requests with the records at hand, without commands, pages and the network. `--files`
lists the files.
"""

import argparse
import ast
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import grimp
from rich.console import Console
from rich.table import Table

OURS = ("fedsynth_common", "fedsynth_release", "fedsynth_client", "fedsynth_server")
INSTALLED = ("fedsynth_common", "fedsynth_client")
OPTIONAL = {"fedsynth_client.cli.score", "fedsynth_client.cli.drift"}
COMMAND = "fedsynth_common.cli.main"
ANSWERS = "fedsynth_client.vault.service"


@dataclass(frozen=True)
class Closure:
    """Our modules at a site.

    Attributes:
        installed: all of them.
        reached: those that the client imports.
        answering: those that are needed to answer a request.
        libraries: what all of them import of others.
    """

    installed: frozenset[str]
    reached: frozenset[str]
    answering: frozenset[str]
    libraries: frozenset[str]


def site_closure() -> Closure:
    """The closure, from the sources that are importable now."""
    graph = grimp.build_graph(*OURS, include_external_packages=True, cache_dir=None)
    installed = {name for name in graph.modules if name.partition(".")[0] in INSTALLED}
    client = [n for n in installed if n.startswith("fedsynth_client") and n not in OPTIONAL]
    libraries = {
        name
        for module in installed - OPTIONAL
        for name in graph.find_modules_directly_imported_by(module)
        if name.partition(".")[0] not in {*OURS, *sys.stdlib_module_names}
    }
    return Closure(
        frozenset(installed),
        _reached(graph, [*client, COMMAND]),
        _reached(graph, [ANSWERS]),
        frozenset(libraries),
    )


def _reached(graph: grimp.ImportGraph, start: Iterable[str]) -> frozenset[str]:
    """Our modules among those that these import, directly or not, and these themselves."""
    reached: set[str] = set()
    waiting = list(start)
    while waiting:
        module = waiting.pop()
        if module in reached or module in OPTIONAL:
            continue
        reached.add(module)
        parts = module.split(".")
        waiting += [".".join(parts[:end]) for end in range(1, len(parts))]
        waiting += graph.find_modules_directly_imported_by(module)
    return frozenset(name for name in reached if name.partition(".")[0] in OURS)


def lines_of(module: str) -> int:
    """The lines of a module's file."""
    return len(_source(module).splitlines())


def code_of(module: str) -> int:
    """The lines of a module's file that are neither blank, nor a comment, nor a docstring."""
    source = _source(module)
    said: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            said.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(source.splitlines(), start=1)
    return sum(
        1 for at, line in lines if line.strip() and line.strip()[0] != "#" and at not in said
    )


def _source(module: str) -> str:
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    return Path(spec.origin).read_text(encoding="utf-8")


def folder_of(module: str) -> str:
    """The folder that a module stands in, as it is imported."""
    parts = module.split(".")
    return (
        ".".join(parts[:2])
        if find_spec(".".join(parts[:2])).submodule_search_locations
        else parts[0]
    )


def show(closure: Closure, console: Console, *, files: bool) -> None:
    """Print a line for each folder (or file), and what it comes to."""
    table = Table("file" if files else "folder", title="What a site installs and imports, in lines")
    for heading in ("files", "installed", "imported", "code"):
        table.add_column(heading, justify="right")
    groups: dict[str, list[str]] = {}
    for module in sorted(closure.installed):
        groups.setdefault(module if files else folder_of(module), []).append(module)
    for name, modules in groups.items():
        table.add_row(name, *_figures(modules, closure))
    table.add_section()
    table.add_row("all", *_figures(closure.installed, closure))
    table.add_row("to answer requests", *_figures(closure.answering, closure))
    console.print(table)
    console.print("libraries:", ", ".join(sorted(closure.libraries)), highlight=False)


def _figures(modules: Iterable[str], closure: Closure) -> tuple[str, ...]:
    modules = list(modules)
    imported = [module for module in modules if module in closure.reached]
    figures = sum(map(lines_of, modules)), sum(map(lines_of, imported)), sum(map(code_of, imported))
    return str(len(modules)), *(f"{figure:,}" for figure in figures)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", action="store_true", help="a line for each file")
    show(site_closure(), Console(), files=parser.parse_args().files)
