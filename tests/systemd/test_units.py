"""The units are valid, take away what the processes do not need, and start commands that exist."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.main import get_command

from fedsynth_common.cli.main import build_app

ROOT = Path(__file__).parents[2]
UNITS = sorted((ROOT / "systemd").glob("*.service"))
each_unit = pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
MOST_EXPOSED = {"fedsynth-vault@.service": 1.0, "fedsynth-courier@.service": 2.0}
"""What `systemd-analyze security` may say, from 0 (closed) to 10 (open)."""


def service(path):
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.optionxform = str
    read.read_string(path.read_text())
    return read["Service"]


@each_unit
def test_what_is_started_exists_with_its_options(path):
    program, *words = service(path)["ExecStart"].split()
    assert program == "/opt/fedsynth/bin/fedsynth"
    command = get_command(build_app())
    while words and hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= known


@each_unit
def test_nobody_is_root_and_nothing_can_become_it(path):
    said = service(path)
    assert said["User"].startswith("fedsynth-")
    assert said["NoNewPrivileges"] == "yes"
    assert said["CapabilityBoundingSet"] == ""
    assert said["ProtectSystem"] == "strict"


def test_the_vault_has_no_network_and_the_courier_no_records():
    vault, courier = (
        service(ROOT / f"systemd/fedsynth-{name}@.service") for name in ("vault", "courier")
    )
    assert (vault["PrivateNetwork"], vault["RestrictAddressFamilies"]) == ("yes", "AF_UNIX")
    assert vault["ReadWritePaths"] == courier["InaccessiblePaths"] == "/srv/fedsynth/%i/vault"
    assert courier["RestartPreventExitStatus"] == "3"  # untrusted_certificate.UntrustedError


@needs_systemd
@each_unit
def test_systemd_finds_no_fault(path, tmp_path):
    made = tmp_path / path.name.replace("@.", "@north.")
    for other in UNITS:
        text = other.read_text().replace("/opt/fedsynth/bin/fedsynth", "/bin/true")
        (tmp_path / other.name.replace("@.", "@north.")).write_text(text)
    ended = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(made)], capture_output=True, text=True
    )
    about = [line for line in ended.stderr.splitlines() if "fedsynth" in line]
    assert (ended.returncode, about) == (0, [])


@needs_systemd
@each_unit
def test_systemd_calls_it_closed(path):
    ended = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", str(path)], capture_output=True, text=True
    )
    (level,) = re.findall(r"Overall exposure level for .*: ([\d.]+)", ended.stdout)
    assert float(level) <= MOST_EXPOSED.get(path.name, 2.5)
