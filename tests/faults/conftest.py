"""Makes `tests/*.py` and the harness beside this file importable; one launcher for all tests."""

import sys
from pathlib import Path

import pytest

HERE, TESTS = Path(__file__).parent, Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(HERE), str(TESTS / "e2e/deployment")]

from vault_process import Launcher, make_site  # noqa: E402 - found through the line above


@pytest.fixture(scope="session")
def launcher(tmp_path_factory):
    """Starts vaults in milliseconds: a process with the libraries loaded, which forks."""
    with Launcher(tmp_path_factory.mktemp("launcher") / "launcher.log") as running:
        yield running


@pytest.fixture
def site(launcher, tmp_path):
    """A site's files and its vault process, which is ended with the test."""
    made = make_site(tmp_path / "north", launcher)
    yield made
    made.end()
