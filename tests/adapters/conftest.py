"""An environment with NVIDIA FLARE, and a FLARE network of real processes on this computer.

The environment is made once in `.flare-env` and used again; the wheels of this tree go into it each
time. The network is FLARE's own proof-of-concept deployment: a server and two clients, processes of
their own, which speak over TLS on the loopback interface with certificates of FLARE's authority.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
SITES = ("dayton", "seattle")
sys.path.insert(0, str(ROOT / "tests"))  # for small_site
sys.path.append(str(ROOT / "adapters/flare"))  # it is not installed: NVIDIA FLARE is not here
PLACE = ROOT / ".flare-env"
ADMIN = "admin@nvidia.com"
SCHEMA = {
    "name": "ward",
    "target": "died",
    "origin": "declared",
    "columns": [
        {"name": "age", "kind": "integer", "minimum": 0, "maximum": 110},
        {"name": "sex", "kind": "categorical", "categories": ["F", "M"], "other": False},
        {"name": "died", "kind": "boolean", "true": "yes", "false": "no"},
    ],
}


class Flare:
    """The environment, and a folder that its programs run in."""

    def __init__(self, folder):
        self.folder = folder
        self.processes = []
        self.env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self.env |= {
            "PATH": f"{PLACE / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(folder),
            "NVFLARE_POC_WORKSPACE": str(folder / "poc"),
            "FEDSYNTH_VAULT_SOCKET": str(folder / "{client}/vault.sock"),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "120",
        }
        self.kits = folder / "poc/example_project/prod_00"

    def run(self, *words, status=0, say=""):
        done = subprocess.run(
            [PLACE / "bin" / words[0], *words[1:]],
            cwd=self.folder,
            env=self.env,
            input=say,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == status, (words, done.stdout[-2000:], done.stderr[-3000:])
        return done.stdout + done.stderr

    def start(self, *words):
        log = (self.folder / f"{len(self.processes)}.log").open("w")
        process = subprocess.Popen(
            [PLACE / "bin" / words[0], *words[1:]],
            cwd=self.folder,
            env=self.env,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        self.processes.append(process)

    def end(self):
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(timeout=60)

    def submitted(self, job):
        """How a job ended."""
        kit = ("--startup-kit", self.kits / ADMIN)
        self.run("nvflare", "job", "submit", "-j", job, *kit)
        end = time.monotonic() + 240
        while time.monotonic() < end:
            listed = json.loads(self.run("nvflare", "--format", "json", "job", "list", *kit))
            (status,) = (one["status"] for one in newest(listed))
            if status.startswith("FINISHED"):
                return status
            time.sleep(2)
        raise AssertionError(status)


def newest(listed):
    jobs = listed["data"] if isinstance(listed["data"], list) else listed["data"]["jobs"]
    return sorted(jobs, key=lambda one: one["submit_time"])[-1:]


@pytest.fixture(scope="session")
def environment(tmp_path_factory):
    """`.flare-env` with this tree's distributions."""
    wheels = tmp_path_factory.mktemp("wheels")
    script = ROOT / "distribution/make_dist.py"
    subprocess.run([sys.executable, script, "--out", wheels / "dist"], check=True)
    if not (PLACE / "bin/nvflare").exists():
        subprocess.run([sys.executable, "-m", "venv", PLACE], check=True)
    pip = [PLACE / "bin/python", "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt"]
    found = ["--find-links", wheels / "dist/wheels"]
    wanted = "fedsynth-flare[site,server]"
    subprocess.run([*pip, *found, wanted], check=True)
    ours = [f"fedsynth-{name}" for name in ("common", "release", "client", "server", "flare")]
    subprocess.run([*pip, *found, "--no-deps", "--force-reinstall", *ours], check=True)
    return PLACE


@pytest.fixture(scope="session")
def flare(environment, tmp_path_factory):
    """Two sites with their vaults running, an approved plan, and the locked kits of a network."""
    here = Flare(tmp_path_factory.mktemp("flare"))
    (here.folder / "schema.json").write_text(json.dumps(SCHEMA))
    for seed, site in enumerate(SITES):
        rng = np.random.default_rng(seed)
        age = rng.integers(18, 95, 2000)
        died = np.where(rng.random(age.size) < age / 300, "yes", "no")
        frame = pd.DataFrame({"age": age, "sex": rng.choice(["F", "M"], age.size), "died": died})
        frame.to_csv(here.folder / f"{site}.csv", index=False)
    sites = [word for site in SITES for word in ("--site", site)]
    size = ("--records-per-site", "2000", "--epsilon", "3")
    here.run("fedsynth", "study", "init", "study", "--schema", "schema.json", *sites, *size)
    for site in SITES:
        words = ("--schema", "schema.json", "--dataset", f"{site}-people", "--site", site)
        words = (*words, "--max-epsilon", "3", "--superlink", "unused.example.org:443")
        here.run("fedsynth", "site", "init", site, "--data", f"{site}.csv", *words)
        config = ("--config", f"{site}/site.toml")
        here.run("fedsynth", "site", "approve", "study/plan.json", *config, "--yes")
        here.start("fedsynth", "site", "serve", *config)
    here.run("nvflare", "poc", "prepare", "-c", *SITES, say="y\n" * 9)
    for kit in (*SITES, "server"):
        here.run("python", "-m", "fedsynth_flare.lock", here.kits / kit)
    try:
        while not all((here.folder / site / "vault.sock").exists() for site in SITES):
            assert all(process.poll() is None for process in here.processes)
            time.sleep(0.2)
        here.run("nvflare", "poc", "start", "--timeout", "90")
        yield here
    finally:
        here.run("nvflare", "poc", "stop")
        here.end()
