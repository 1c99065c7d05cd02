"""The bundle: no code, the same bytes for ever, and Flower takes it."""

import hashlib
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import version
from io import BytesIO

import pytest
from command import fedsynth
from flwr.cli.config_utils import get_fab_metadata
from flwr.cli.install import install_from_fab
from flwr.common.config import get_project_config
from flwr.supercore.fab_format_version import normalize_and_validate_fab_format

from fedsynth_client.connection.approved_bundle import inspect
from fedsynth_server.superlink.app_bundle import bundle, bundle_name

SHA256 = "10cd16e616612bafe79277a761ee85bf942dd0dcbdd191e6105a2191634f566a"
"""Sites lock the bundle by this digest: when it changes, every site has to install it anew."""


def test_the_bytes_are_those_that_the_sites_have():
    assert hashlib.sha256(bundle()).hexdigest() == SHA256


def test_it_carries_a_manifest_and_a_licence():
    with zipfile.ZipFile(BytesIO(bundle())) as archive:
        assert archive.namelist() == ["pyproject.toml", "LICENSE", ".info/CONTENT"]
        manifest = tomllib.loads(archive.read("pyproject.toml").decode())
    assert manifest["project"]["version"] == version("fedsynth-server")
    assert manifest["tool"]["flwr"]["app"]["components"] == {
        "serverapp": "fedsynth_server.app:app",
        "clientapp": "fedsynth_client.courier:app",
    }
    normalize_and_validate_fab_format(manifest)


def test_flower_installs_it_from_its_file(tmp_path):
    path = tmp_path / bundle_name(bundle())
    path.write_bytes(bundle())
    assert get_fab_metadata(path) == ("fedsynth/fedsynth", version("fedsynth-server"))
    place = install_from_fab(path, tmp_path / "home")
    assert {entry.name for entry in place.iterdir()} == {"pyproject.toml", "LICENSE"}
    assert get_project_config(place)["tool"]["flwr"]["app"]["config"] == {"study": ""}


def test_a_site_accepts_it():
    assert inspect(bundle()).digest == SHA256


def test_it_is_written_without_the_sites_package(tmp_path):
    """A coordinator has server and common only."""
    program = (
        "import sys; sys.modules['fedsynth_client'] = None\n"
        "import fedsynth_server.cli, fedsynth_server.superlink.control\n"
        "from fedsynth_server.superlink.app_bundle import bundle\n"
        "import hashlib; print(hashlib.sha256(bundle()).hexdigest())"
    )
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, capture_output=True, text=True).stdout.strip() == SHA256


@pytest.mark.parametrize("out", ["fedsynth.fab", "handout"])
def test_the_command_says_the_digest(tmp_path, out):
    done = fedsynth("study", "bundle", "--out", tmp_path / out)
    assert done.returncode == 0, done.stderr
    written = tmp_path / out
    written = written if written.is_file() else written / bundle_name(bundle())
    assert done.stdout == f"{written}: SHA-256 {SHA256}\n"
    assert fedsynth("study", "bundle", "--out", tmp_path / out).returncode == 0  # the same again
    written.write_bytes(b"another")
    refused = fedsynth("study", "bundle", "--out", tmp_path / out)
    assert (refused.returncode, "--force" in refused.stderr) == (2, True)
