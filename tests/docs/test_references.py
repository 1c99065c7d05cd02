"""The documents name tests, files and commands that exist."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from fedsynth_client.cli import app as site

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *(
        ROOT / "docs" / name
        for name in ("INFOSEC.md", "THREAT_MODEL.md", "RUNBOOK.md", "SITE.md", "COORDINATOR.md")
    ),
    ROOT / "docker/README.md",
    ROOT / "client/README.md",
    ROOT / "server/README.md",
]
each = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def cited_tests():
    """(file, test or "") of the threat model; `::name` alone means the file named before it."""
    text = (ROOT / "docs/THREAT_MODEL.md").read_text()
    file = None
    for place, name in re.findall(
        r"`((?:[\w/]+/)?test_\w+\.py|e2e/deployment)?(?:::(\w+))?`", text
    ):
        file = place or file
        if (place or name) and file != "e2e/deployment":
            yield file, name


@pytest.mark.parametrize(("file", "name"), sorted(set(cited_tests())))
def test_a_cited_test_exists(file, name):
    path = ROOT / "tests" / file
    assert path.is_file()
    assert f"def {name}(" in path.read_text() if name else True


def test_the_threat_model_cites_tests():
    assert len(set(cited_tests())) > 25


@each
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        assert (document.parent / target).exists(), target


@each
def test_site_commands_exist_with_their_options(document):
    commands = get_command(site).commands
    text = document.read_text().replace("\\\n", " ")
    for name, rest in re.findall(r"fedsynth site (\w+)([^\n`|;]*)", text):
        assert name in commands, name
        command = commands[name]
        if below := getattr(command, "commands", None):  # a group, as `site rotate`
            command = below[rest.split()[0]]
        known = {option for parameter in command.params for option in parameter.opts}
        for option in re.findall(r"(?<!\S)--[a-z-]+", rest.split("#")[0]):
            assert option in known, f"{name} {option}"


@each
def test_docker_files_that_are_named_exist(document):
    for name in re.findall(r"docker/[\w./-]*\w\.(?:sh|yml|conf)", document.read_text()):
        assert (ROOT / name).is_file(), name
