"""Builds the documentation site: `make docs` runs this, and the result is out/site.

The pages are the repository's own Markdown files. They are copied with their folders into
out/site-source, so that the links between them are the same on the site and in the repository, and
pages of reference are added for every command and every public module. mkdocs then checks every
link and anchor, and a warning ends the build with an error. Nothing is loaded from a network,
neither by the build nor by the finished pages.

    python docs/site/build_site.py [--out FOLDER]
"""

import argparse
import logging
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import command_pages
import module_pages
import notebook_pages
import yaml
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)")
"""The file that a link leads to, if it leads to a file of the repository."""

FOLDERS = (
    "fedsynth",
    "common",
    "common/release",
    "client",
    "server",
    "simulations",
    "adapters/flare",
)
"""Folders with packages; those that do not exist are left out."""


def packages() -> list[Path]:
    """The folders of our Python packages."""
    found = [ROOT / "fedsynth"] if (ROOT / "fedsynth/__init__.py").exists() else []
    for folder in FOLDERS[1:]:
        found += [path.parent for path in sorted((ROOT / folder).glob("fedsynth_*/__init__.py"))]
    return found


def listed(nav: Any) -> list[str]:
    """The files that a navigation names, in order."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [name for part in parts for name in listed(part)]


def add_unlisted(nav: list[dict[str, Any]]) -> None:
    """Put pages that the navigation does not name last: those of docs/, and those that are linked."""
    parts = {title: pages for part in nav for title, pages in part.items()}
    docs = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")}
    _append(parts["Explanation"], docs - set(listed(nav)))
    while linked := {page for name in listed(nav) for page in _linked(name)} - set(listed(nav)):
        _append(parts["Development"], linked)


def _append(pages: list[dict[str, str]], names: set[str]) -> None:
    for name in sorted(names):
        heading = (ROOT / name).read_text(encoding="utf-8").split("\n", 1)[0]
        pages.append({heading.lstrip("# "): name})


def _linked(name: str) -> Iterator[str]:
    """The pages of the repository that a page leads to."""
    page = ROOT / name
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        linked = (page.parent / target).resolve()
        if linked.suffix == ".md" and linked.is_file():
            yield str(linked.relative_to(ROOT))


def stage(source: Path, names: list[str]) -> None:
    """Copy the named pages, and what they link to beside pages, into a new folder."""
    shutil.rmtree(source, ignore_errors=True)
    for name in names:
        text = (ROOT / name).read_text(encoding="utf-8")
        for target in LINK.findall(text):
            linked = (ROOT / name).parent / target
            if linked.is_file() and linked.suffix != ".md":
                copy(linked.resolve(), source)
        place = source / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(_for_the_site(text, ROOT / name), encoding="utf-8")
    shutil.copy(HERE / "site.css", source)


def copy(file: Path, source: Path) -> None:
    """Copy a file of the repository to the same place below `source`."""
    place = source / file.relative_to(ROOT)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, place)


def _for_the_site(text: str, page: Path) -> str:
    """Links to notebooks lead to their pages; of links to folders the words stay."""

    def changed(link: re.Match[str]) -> str:
        if (page.parent / link[2]).is_dir():
            return link[1]
        return (
            f"[{link[1]}]({link[2].removesuffix('.ipynb')}.md)" if ".ipynb" in link[2] else link[0]
        )

    return re.sub(r"\[([^\]]+)\]\(([^)#:\s]+)\)", changed, text)


def write(source: Path, name: str, text: str) -> str:
    """Write a generated page and return its name."""
    place = source / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(text, encoding="utf-8")
    return name


def add_notebooks(source: Path) -> list[dict[str, Any]]:
    """Write a page for each notebook beside a copy of it; returns their part of the navigation."""
    nav = []
    for path, title, text in notebook_pages.pages(ROOT / "docs/notebooks"):
        copy(path, source)
        name = str(path.relative_to(ROOT).with_suffix(".md"))
        nav.append({title: write(source, name, text)})
    return nav


def add_reference(source: Path) -> list[dict[str, Any]]:
    """Write the pages of reference; returns their part of the navigation."""
    nav: list[dict[str, Any]] = [
        {
            "Commands": [
                {f"fedsynth {name}": write(source, f"reference/commands/{name}.md", text)}
                for name, text in command_pages.pages()
            ]
        }
    ]
    for package in packages():
        modules = [
            {name: write(source, f"reference/python/{name}.md", text)}
            for name, text in module_pages.pages(package)
        ]
        nav += [{package.name: modules}]
    return nav


def main() -> None:
    """Build the site; the exit code is 1 if anything in it is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=ROOT / "out/site", help="folder of the site")
    out = parser.parse_args().out.resolve()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
    source = out.with_name(f"{out.name}-source")
    settings = yaml.safe_load((HERE / "mkdocs.yml").read_text(encoding="utf-8"))
    add_unlisted(settings["nav"])
    stage(source, listed(settings["nav"]))
    (tutorials,) = (part["Tutorials"] for part in settings["nav"] if "Tutorials" in part)
    tutorials.append({"Notebooks": add_notebooks(source)})
    settings["nav"].insert(3, {"Reference": add_reference(source)})
    (plugin,) = (one for one in settings["plugins"] if "mkdocstrings" in one)
    python = plugin["mkdocstrings"]["handlers"]["python"]
    python["paths"] = [str(package.parent) for package in packages()]
    python["options"]["extensions"] = [f"{HERE / 'docstrings.py'}:DocstringsAsMarkdown"]
    settings |= {"docs_dir": str(source), "site_dir": str(out)}
    written = source.with_name(f"{out.name}-mkdocs.yml")
    written.write_text(yaml.safe_dump(settings, allow_unicode=True), encoding="utf-8")
    try:
        build(load_config(str(written)))
    except Abort as error:
        sys.exit(str(error))
    print(f"{out}/index.html")


if __name__ == "__main__":
    main()
