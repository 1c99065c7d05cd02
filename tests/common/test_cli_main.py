"""The command itself: what it lists, how it ends, and that errors are one line."""

import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedsynth_common.cli import main as command
from fedsynth_common.errors import FedsynthError, InputError
from fedsynth_common.extras import EXTRA_OF_COMMAND, EXTRAS
from fedsynth_common.privacy import PrivacyError

FEDSYNTH = Path(sys.executable).with_name("fedsynth")

ROOT = Path(__file__).parents[2]
MEMBERS = ("common", "common/release", "client", "server", "simulations")


def project(folder):
    """The [project] table of a distribution's pyproject.toml."""
    return tomllib.loads((ROOT / folder / "pyproject.toml").read_text())["project"]


def run(*arguments):
    return subprocess.run([FEDSYNTH, *arguments], capture_output=True, text=True)


def test_help_lists_the_commands_of_what_is_installed():
    result = run("--help")
    assert result.returncode == 0
    for name in ("schema", "sample", "verify", "version"):
        assert name in result.stdout


def test_the_version_is_an_option_and_a_command():
    said = run("--version")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout == run("version").stdout
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*\n", said.stdout)


COMPLETED = [("fedsynth sam", "sample"), ("fedsynth sample --reb", "--rebalance")]


@pytest.mark.parametrize(("typed", "found"), COMPLETED)
def test_a_shell_completes_commands_and_options(typed, found):
    words = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    asked = os.environ | words | {"_FEDSYNTH_COMPLETE": "complete_bash"}
    done = subprocess.run([FEDSYNTH], capture_output=True, text=True, env=asked)
    assert done.stdout.split() == [found]


@pytest.mark.parametrize(("asked", "threads"), [(None, "1"), ("3", "3")])
def test_one_thread_computes_unless_more_are_asked_for(monkeypatch, asked, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", asked or "")  # noted, so that it is put back at the end
    if asked is None:
        monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr(sys, "argv", ["fedsynth", "version"])
    with pytest.raises(SystemExit):
        command.main()
    assert os.environ["OMP_NUM_THREADS"] == threads


def test_the_list_of_commands_loads_no_heavy_library():
    """What takes seconds to import is imported inside the commands."""
    code = (
        "import sys; sys.argv = ['fedsynth', '--help']\n"
        "from fedsynth_common.cli.main import build_app\n"
        "print(len(build_app().registered_commands), *sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    commands, *loaded = result.stdout.split()
    assert int(commands) > 4
    heavy = {
        "torch",
        "pandas",
        "numpy",
        "scipy",
        "pyarrow",
        "pydantic",
        "flwr",
        "opacus",
        "sklearn",
    }
    assert not heavy & set(loaded)


def test_a_named_command_alone_is_loaded(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["fedsynth", "verify", "somewhere"])
    named = {one.name or one.callback.__name__ for one in command.build_app().registered_commands}
    assert named == {"verify", "version"}


def only(monkeypatch, *names):
    """Stand-in for an installation whose distributions bring these commands alone."""
    points = [point for point in entry_points(group="fedsynth.commands") if point.name in names]
    monkeypatch.setattr(command, "entry_points", lambda group: points)


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("simulate", "pip install 'fedsynth[simulate]'"),
        ("demo", "pip install 'fedsynth[demo]'"),
        ("site", "pip install 'fedsynth[site]'"),
        ("study", "pip install 'fedsynth[server]'"),
        ("evaluate", "pip install fedsynth"),
    ],
)
def test_a_command_that_is_not_installed_says_how_to_get_it(monkeypatch, capsys, name, how):
    only(monkeypatch, "sample", "verify")
    monkeypatch.setattr(sys, "argv", ["fedsynth", name, "--help"])
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == 2
    line = f"error: `fedsynth {name}` is not installed here; it comes with: {how}"
    assert capsys.readouterr().err.splitlines() == [line]


def test_the_help_says_how_to_get_the_other_commands(monkeypatch):
    only(monkeypatch, "sample", "verify")
    monkeypatch.setattr(sys, "argv", ["fedsynth", "--help"])
    printed = CliRunner().invoke(command.build_app(), ["--help"], env={"COLUMNS": "120"}).output
    assert "simulate, benchmark (pip install 'fedsynth[simulate]')" in printed
    assert "site (pip install 'fedsynth[site]')" in printed
    assert "schema, report, evaluate (pip install fedsynth)" in printed


def test_the_help_of_a_whole_installation_misses_nothing():
    assert "Not installed" not in run("--help").stdout


def test_every_command_has_its_extra_and_every_extra_exists():
    """`extras.py` names what the manifests declare."""
    manifests = {folder: project(folder) for folder in MEMBERS}
    brought = {"": {"fedsynth-common", "fedsynth-release"}}
    for extra, lines in project("")["optional-dependencies"].items():
        brought[extra] = {re.split(r"[\[=]", line)[0] for line in lines}
    assert EXTRAS.keys() == brought.keys() - {"", "dev", "docs"}
    declared = {}
    for manifest in manifests.values():
        for name in manifest.get("entry-points", {}).get("fedsynth.commands", {}):
            declared[name] = manifest["name"]
    assert EXTRA_OF_COMMAND.keys() == declared.keys()
    for name, extra in EXTRA_OF_COMMAND.items():
        assert declared[name] in brought[extra], name


def test_version():
    result = run("version")
    assert result.returncode == 0
    assert result.stdout.strip().count(".") == 2


@pytest.mark.parametrize("arguments", [("nonsense",), ("sample",), ("sample", "--rows", "many")])
def test_usage_errors_end_with_2_and_no_traceback(arguments):
    result = run(*arguments)
    assert result.returncode == 2
    assert "Usage" in result.stderr
    assert "Traceback" not in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("t.csv: no such file"), 2, "error: t.csv: no such file"),
        (FedsynthError("measure: 1 of 3"), 1, "error: measure: 1 of 3"),
        (PrivacyError("delta: too small"), 1, "error: delta: too small"),
        (OSError(28, "No space left on device"), 1, "error: [Errno 28] No space left on device"),
        (KeyboardInterrupt(), 130, "error: interrupted"),
    ],
)
def test_failures_are_one_line_and_a_code(monkeypatch, capsys, error, code, line):
    def fail():
        def app():
            raise error

        return app

    monkeypatch.setattr(command, "build_app", fail)
    with pytest.raises(SystemExit) as ended:
        command.main()
    assert ended.value.code == code
    assert capsys.readouterr().err.strip() == line


def test_flower_processes_are_told_to_be_quiet(monkeypatch):
    for name in command.QUIET:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(command, "build_app", lambda: lambda: None)
    command.main()
    import os

    assert {name: os.environ[name] for name in command.QUIET} == command.QUIET
    assert command.QUIET["FLWR_TELEMETRY_ENABLED"] == "0"


def test_no_sub_command_prints_values_in_a_traceback():
    """Typer's pretty exceptions show the local variables of every frame, and those hold records."""
    for point in entry_points(group="fedsynth.commands"):
        assert not point.load().pretty_exceptions_enable, point.name
