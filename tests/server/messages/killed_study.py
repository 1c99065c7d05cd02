"""A study in a folder, run by a process of its own that kills itself (SIGKILL) at a chosen write.

    python killed_study.py FOLDER [before|after NUMBER]

Sites are in the same process, with their ledgers on disk. Their noise is a function of the request, so
that an undisturbed study and an interrupted one can be compared byte by byte.
"""

import hashlib
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from small_study import make_frames, make_small_plan

from fedsynth_client.courier import make_courier
from fedsynth_common.privacy.randomness import SeededRandomness
from fedsynth_server.app import run_study
from fedsynth_server.messages.journal import Journal
from fedsynth_server.study.folder import StudyFolder
from fedsynth_simulations.federation import make_vault
from fedsynth_simulations.grid import InProcessGrid

CONFIG = """
[sites]
quorum = {quorum}
deadline = 5
gather = 0
retry = 0
patience = 0
[training]
seed = {seed}
fit_steps = 60
network_steps = 60
latents = 256
predictor_steps = 60
adversarial_steps = 2
adversarial_batch = 256
"""


class StepSeeded:
    """A vault whose noise depends on the request alone; counts what it was asked."""

    def __init__(self, site, folder, plan):
        seed = hashlib.sha256(site.encode()).digest()
        key = Ed25519PrivateKey.from_private_bytes(seed)
        ledger = folder / f"{site}.ledger"
        self.vault = make_vault(site, make_frames()[site], plan, ledger, 1, key)
        self.asked = []

    def call(self, method, request):
        self.asked.append(method)
        digest = hashlib.sha256(self.vault._policy.site.encode() + request).digest()
        self.vault._randomness = SeededRandomness(int.from_bytes(digest[:4], "big"))
        return self.vault.call(method, request)


def make_folder(path, variant="both", quorum=3, seed=0):
    """A study's folder, as `study init` makes it, with few training steps."""
    study = StudyFolder(path)
    path.mkdir(parents=True, exist_ok=True)
    study.plan_file.write_bytes(make_small_plan(variant).to_json())
    study.config_file.write_text(CONFIG.format(quorum=quorum, seed=seed))
    return study


def grid_of(study):
    """The sites of the folder's plan: real vaults, ledgers beside the study's folder."""
    plan = study.plan()
    vaults = {site: StepSeeded(site, study.path.parent, plan) for site in plan.sites}
    courier = make_courier(lambda context: vaults[context.node_config["site"]])
    grid = InProcessGrid(courier, [{"site": site} for site in plan.sites])
    grid.vaults = vaults
    return grid


def kill_at(when, number):
    """Have SIGKILL come before or after the journal's write of this number."""
    original, count = Journal._write, [0]

    def write(self, name, fields, body):
        count[0] += 1
        if count[0] == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        original(self, name, fields, body)
        if count[0] == number and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    Journal._write = write


if __name__ == "__main__":
    if len(sys.argv) > 2:
        kill_at(sys.argv[2], int(sys.argv[3]))
    folder = StudyFolder(Path(sys.argv[1]))
    run_study(folder, grid_of(folder))
