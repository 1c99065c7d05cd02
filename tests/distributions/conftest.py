"""The distributions, built once, and environments into which they are installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
sys.path[:0] = [str(ROOT / "distribution")]


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """The folder that `make dist` writes, without bills of materials."""
    out = tmp_path_factory.mktemp("distributions") / "dist"
    script = ROOT / "distribution/make_dist.py"
    subprocess.run([sys.executable, script, "--out", out], check=True, capture_output=True)
    return out


class Environment:
    """A virtual environment outside of the repository."""

    def __init__(self, folder):
        self.folder = folder
        subprocess.run([sys.executable, "-m", "venv", folder / "env"], check=True)

    def run(self, program, *words, status=0):
        """What a program of the environment prints; it knows nothing of this repository."""
        hidden = ("PYTHONPATH", "VIRTUAL_ENV", "FEDSYNTH_DATA")
        known = {name: value for name, value in os.environ.items() if name not in hidden}
        done = subprocess.run(
            [self.folder / "env/bin" / program, *words],
            cwd=self.folder,
            env=known | {"COLUMNS": "120"},
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == status, done.stdout[-2000:] + done.stderr[-2000:]
        return done.stdout + done.stderr

    def install(self, wheels, *wanted):
        """pip install, our own packages from the wheels and the others in the tested versions."""
        words = ("--quiet", "--no-compile", "--find-links", wheels, "-c", ROOT / "constraints.txt")
        self.run("python", "-m", "pip", "install", *words, *wanted)

    def packages(self):
        """The names of all installed packages."""
        lines = self.run("python", "-m", "pip", "list", "--format", "freeze").splitlines()
        return {line.split("==")[0].lower().replace("_", "-") for line in lines if "==" in line}


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Makes an environment by name; each name is made once."""
    made = {}

    def make(name):
        if name not in made:
            made[name] = Environment(tmp_path_factory.mktemp(name))
        return made[name]

    return make
