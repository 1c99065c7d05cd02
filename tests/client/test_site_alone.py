"""What a site installs is client and common alone, and no more than their manifests declare."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from site_closure import site_closure

ROOT = Path(__file__).parents[2]
IMPORT_ALL = """
import importlib, pkgutil, sys

sys.path[:0] = {paths!r}
for package in ("fedsynth_common", "fedsynth_client"):
    folder = importlib.import_module(package).__path__
    for module in pkgutil.walk_packages(folder, package + "."):
        importlib.import_module(module.name)
print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
"""


@pytest.fixture(scope="module")
def closure():
    return site_closure()


def site_python(code):
    """Run code with client, common and the libraries on the path, and no other package of ours."""
    libraries = [entry for entry in sys.path if entry.endswith("site-packages")]
    paths = [str(ROOT / "common"), str(ROOT / "client"), *libraries]
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        code.format(paths=paths),
    ]  # -S: no editable installs
    return subprocess.run(command, capture_output=True, text=True)


def test_every_module_imports_with_client_and_common_alone():
    run = site_python(IMPORT_ALL)
    assert run.returncode == 0, run.stderr
    pulled_in = set(run.stdout.split())
    assert {"fedsynth_client", "fedsynth_common", "torch", "opacus", "flwr"} <= pulled_in
    assert not {name for name in pulled_in if name.startswith("fedsynth")} - {
        "fedsynth_client",
        "fedsynth_common",
    }
    assert not pulled_in & {"sklearn", "jinja2", "safetensors", "matplotlib", "statsmodels", "ray"}


def test_scoring_without_the_release_package_says_what_to_install():
    run = site_python(
        "import sys\nsys.path[:0] = {paths!r}\n"
        "from fedsynth_client.cli import app\n"
        "app(['score', 'made.csv', '--config', 'site.toml'], standalone_mode=False)\n"
    )
    assert "InputError" in run.stderr
    assert "pip install 'fedsynth-client[score]'" in run.stderr


def test_the_client_reaches_nothing_outside_client_and_common(closure):
    assert closure.reached <= closure.installed
    assert len(closure.reached) > 80


def test_what_is_imported_is_declared_and_what_is_declared_is_imported(closure):
    distributions = packages_distributions()
    declared = {
        re.match(r"[\w.-]+", line)[0].lower()
        for member in ("common", "client")
        for lines in manifest(member)
        for line in lines
    }
    unused = declared - {"fedsynth-common", "fedsynth-release"}
    for library in closure.libraries:
        names = {name.lower().replace("_", "-") for name in distributions[library]}
        assert names & declared, library
        unused -= names
    # typer needs this click, and stdnum's modules are imported by name when a number is looked at
    assert unused == {"click", "python-stdnum"}


def manifest(member):
    project = tomllib.loads((ROOT / member / "pyproject.toml").read_text())["project"]
    return [project["dependencies"], *project.get("optional-dependencies", {}).values()]
