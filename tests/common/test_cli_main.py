"""The command itself: what it lists, how it ends, and that errors are one line."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from fedsynth_common.cli import main as command
from fedsynth_common.errors import FedsynthError, InputError
from fedsynth_common.privacy import PrivacyError

FEDSYNTH = Path(sys.executable).with_name("fedsynth")


def run(*arguments):
    return subprocess.run([FEDSYNTH, *arguments], capture_output=True, text=True)


def test_help_lists_the_commands_of_what_is_installed():
    result = run("--help")
    assert result.returncode == 0
    for name in ("schema", "sample", "verify", "version"):
        assert name in result.stdout


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
