"""What a site installs and imports, in lines: the static import closure of the client.

    python tests/client/site_closure.py [--files]

Follows every import statement, those inside functions and for type checkers included, from each module
of `fedsynth_client` and from the command line that they share. `fedsynth site score` is left aside: it
needs fedsynth-release, which is optional at a site. `--files` lists the files with their lines.
"""

import argparse
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
OPTIONAL = "fedsynth_client.cli.score"
COMMAND = "fedsynth_common.cli.main"


@dataclass(frozen=True)
class Closure:
    """Our modules that a site installs, those that the client reaches, and the libraries of both."""

    installed: frozenset[str]
    reached: frozenset[str]
    libraries: frozenset[str]


def site_closure() -> Closure:
    """The closure, from the sources that are importable now."""
    graph = grimp.build_graph(*OURS, include_external_packages=True, cache_dir=None)
    installed = {name for name in graph.modules if name.partition(".")[0] in INSTALLED}
    reached: set[str] = set()
    waiting = [n for n in installed if n.startswith("fedsynth_client")] + [COMMAND]
    while waiting:
        module = waiting.pop()
        if module in reached or module == OPTIONAL:
            continue
        reached.add(module)
        parts = module.split(".")
        waiting += [".".join(parts[:end]) for end in range(1, len(parts))]
        waiting += graph.find_modules_directly_imported_by(module)
    ours = {name for name in reached if name.partition(".")[0] in OURS}
    libraries = {
        name
        for module in installed - {OPTIONAL}
        for name in graph.find_modules_directly_imported_by(module)
        if name.partition(".")[0] not in {*OURS, *sys.stdlib_module_names}
    }
    return Closure(frozenset(installed), frozenset(ours), frozenset(libraries))


def lines_of(module: str) -> int:
    """The lines of a module's file."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(module)
    return len(Path(spec.origin).read_text(encoding="utf-8").splitlines())


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
    table = Table("file" if files else "folder", title="What a site installs and imports")
    for heading in ("files", "lines imported", "lines installed"):
        table.add_column(heading, justify="right")
    groups: dict[str, list[str]] = {}
    for module in sorted(closure.installed):
        groups.setdefault(module if files else folder_of(module), []).append(module)
    for name, modules in groups.items():
        table.add_row(name, *_figures(modules, closure))
    table.add_section()
    table.add_row("all", *_figures(closure.installed, closure))
    console.print(table)
    console.print("libraries:", ", ".join(sorted(closure.libraries)), highlight=False)


def _figures(modules: Iterable[str], closure: Closure) -> tuple[str, str, str]:
    modules = list(modules)
    imported = sum(lines_of(module) for module in modules if module in closure.reached)
    return str(len(modules)), f"{imported:,}", f"{sum(map(lines_of, modules)):,}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", action="store_true", help="a line for each file")
    show(site_closure(), Console(), files=parser.parse_args().files)
