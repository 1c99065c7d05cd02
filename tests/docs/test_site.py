"""The documentation site builds without a warning, misses nothing, and loads nothing from elsewhere."""

import subprocess
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import build_site
import docstrings
import module_pages
import pytest
import yaml
from fences import ROOT
from mkdocs.commands.build import build
from mkdocs.config import load_config
from mkdocs.exceptions import Abort
from typer.main import get_command

from fedsynth_common.cli.main import build_app

SITE = ROOT / "docs/site"


class Page(HTMLParser):
    """Anchors, links and loaded files of a page."""

    def __init__(self, path):
        super().__init__()
        self.anchors, self.links, self.loaded = set(), [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        elif tag == "link" and found.get("href"):
            self.loaded.append(found["href"])
        elif found.get("src"):
            self.loaded.append(found["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built site: {path: page}."""
    out = tmp_path_factory.mktemp("docs") / "site"
    run = subprocess.run(
        [sys.executable, SITE / "build_site.py", "--out", out], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert "WARNING" not in run.stderr
    return out, {path: Page(path) for path in out.rglob("*.html")}


def test_every_public_class_is_in_the_reference(site):
    folder, _ = site
    raw = (folder / "objects.inv").read_bytes().split(b"\n", 4)[4]
    known = {line.split(" ", 1)[0] for line in zlib.decompress(raw).decode().splitlines()}
    classes = [name for package in build_site.packages() for name in package_classes(package)]
    assert len(classes) > 250
    assert [name for name in classes if name not in known] == []


def package_classes(package):
    return list(module_pages.public_classes(package))


def test_every_command_and_option_has_its_line(site):
    folder, _ = site
    app = get_command(build_app())
    for name, command in app.commands.items():
        text = (folder / f"reference/commands/{name}.html").read_text(encoding="utf-8")
        below = getattr(command, "commands", {name: command})
        for one in below.values():
            for part in one.params:
                for option in part.opts if part.param_type_name == "option" else ():
                    assert f"<code>{option}" in text, (name, option)


def test_links_lead_somewhere(site):
    """Every link on every page, also those that themes and reference pages write themselves."""
    folder, pages = site
    broken = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or path.name == "404.html":
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            fragment = unquote(parts.fragment)
            known = pages[target].anchors if target in pages else set()
            if not target.exists() or (fragment and target in pages and fragment not in known):
                broken.append((str(path.relative_to(folder)), link))
    assert broken == []


def test_pages_load_nothing_from_another_host(site):
    _, pages = site
    assert len(pages) > 90
    hosts = {
        urlsplit(name).netloc for page in pages.values() for name in page.loaded if "//" in name
    }
    assert hosts == set()


@pytest.mark.parametrize("link", ["absent.md", "other.md#no-such-heading", "/absolute.md"])
def test_a_broken_link_ends_the_build(tmp_path, link):
    source = tmp_path / "source"
    source.mkdir()
    (source / "README.md").write_text(f"# Home\n\nSee [that]({link}).\n")
    (source / "other.md").write_text("# Other\n")
    settings = yaml.safe_load((SITE / "mkdocs.yml").read_text())
    settings |= {
        "nav": ["README.md", "other.md"],
        "plugins": [],
        "extra_css": [],
        "docs_dir": str(source),
        "site_dir": str(tmp_path / "site"),
    }
    (tmp_path / "mkdocs.yml").write_text(yaml.safe_dump(settings))
    with pytest.raises(Abort):
        build(load_config(str(tmp_path / "mkdocs.yml")))


def test_every_page_for_readers_stands_in_the_navigation():
    nav = yaml.safe_load((SITE / "mkdocs.yml").read_text())["nav"]
    named = build_site.listed(nav)
    assert len(named) == len(set(named))
    assert all((ROOT / name).is_file() for name in named)
    (first,) = [part for part in nav if "Tutorials" in part]
    nav.remove(first)
    build_site.add_unlisted(nav)
    nav = build_site.listed(nav)
    pages = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")}
    assert pages <= set(nav)
    assert {"systemd/README.md", "docker/README.md"} <= set(nav)
    assert "docs/tutorials/analyst.md" in nav


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Adds.\n\n>>> f(1)\n2", "Adds.\n\n```pycon\n>>> f(1)\n2\n```"),
        ("A:\n\n    >>> f(1)\n    2\n\nB", "A:\n\n    ```pycon\n    >>> f(1)\n    2\n    ```\n\nB"),
        ("Two:\n* one\n* two\n\nEnd", "Two:\n\n* one\n* two\n\nEnd"),
        ("Plain.", "Plain."),
    ],
)
def test_docstrings_become_markdown(text, shown):
    assert docstrings.as_markdown(text) == shown


def test_links_of_the_repository_become_links_of_the_site():
    page = Path(ROOT / "README.md")
    text = "[docs](docs), [x](LICENSE), [n](docs/notebooks/first_steps.ipynb)"
    expected = "docs, [x](LICENSE), [n](docs/notebooks/first_steps.md)"
    assert build_site._for_the_site(text, page) == expected


def test_every_notebook_has_a_page_with_its_code(site):
    folder, _ = site
    notebooks = sorted((ROOT / "docs/notebooks").glob("*.ipynb"))
    assert len(notebooks) >= 4
    for notebook in notebooks:
        page = folder / "docs/notebooks" / f"{notebook.stem}.html"
        assert "fedsynth" in page.read_text(encoding="utf-8")
        assert (folder / "docs/notebooks" / notebook.name).read_bytes() == notebook.read_bytes()
