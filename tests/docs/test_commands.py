"""Every `fedsynth` command that a page shows exists with its options; every link leads to a file."""

import re
from pathlib import Path

import pytest
from fences import typed
from typer.main import get_command
from typer.testing import CliRunner

from fedsynth_common.cli.main import build_app

ROOT = Path(__file__).parents[2]
FOLDERS = (
    "",
    "adapters/flare",
    "client",
    "distribution",
    "common",
    "common/release",
    "docker",
    "docs",
    "docs/howto",
    "docs/tutorials",
    "locks",
    "server",
    "simulations",
    "systemd",
    "tests",
)
PAGES = sorted(page for folder in FOLDERS for page in (ROOT / folder).glob("*.md"))
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def leaves(command, path=()):
    """(words, command) of all commands that do something."""
    if not hasattr(command, "commands"):
        return {path: command}
    found = {}
    for name, below in command.commands.items():
        found |= leaves(below, (*path, name))
    return found


COMMANDS = leaves(get_command(build_app()))


def shown(text):
    """(words after `fedsynth`, the rest of the line) of each command in code."""
    text = text.replace("\\\n", " ")
    inline = re.findall(r"`(fedsynth [^`\n]+)`", text)
    for line in [*typed(text).splitlines(), *inline]:
        if found := re.search(r"(?:^|\s)fedsynth ([a-z][^#|]*)", line):
            yield found[1].split()


def options(command):
    return {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    } | {"--help"}


@each_page
def test_commands_exist_with_their_options(page):
    for words in shown(page.read_text(encoding="utf-8")):
        found = (COMMANDS.get(tuple(words[:length])) for length in (1, 2, 3))
        command = next((one for one in found if one is not None), None)
        if command is None:  # a group, or a list of its commands
            group = {path[1] for path in COMMANDS if len(path) == 2 and path[0] == words[0]}
            assert group, words
            assert {name.strip(",") for name in words[1:]} <= group, words
        else:
            assert {word for word in words if word.startswith("--")} <= options(command), words


def test_the_pages_show_commands():
    assert sum(len(list(shown(page.read_text(encoding="utf-8")))) for page in PAGES) > 60


@each_page
def test_links_lead_to_files(page):
    for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https:") or (page.parent / target).exists(), target


@pytest.mark.parametrize("words", sorted(COMMANDS), ids=" ".join)
def test_help_says_what_its_source_says(words):
    """Text in square brackets is markup to the help: `[default: ...]` would vanish from it."""
    printed = CliRunner().invoke(build_app(), [*words, "--help"], env={"COLUMNS": "200"}).output
    if words[0] not in ("benchmark", "version"):
        assert "example" in printed.lower()
    for parameter in COMMANDS[words].params:
        said = "".join((getattr(parameter, "help", None) or "").split())
        assert said in re.sub(r"[\s│]", "", printed)
