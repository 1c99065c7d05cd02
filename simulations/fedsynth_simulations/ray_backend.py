"""Runs a study on Flower's own Ray simulation: real messages, with sites in Ray actor processes.

The table of each site is written to a private temporary folder as Parquet. The first time that an
actor gets a message for a site, it loads the table and keeps the vault. Every actor can get
messages for every site, so ledgers and signing keys are files that all actors share. The folder is
removed after the run. A seeded run has a single actor, because the seeded noise of a site is one
sequence and two actors would both start it from the beginning.
"""

import json
import os
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pandas as pd
from flwr.app import ConfigRecordValues, Context
from flwr.server.superlink.fleet.vce.backend.backend import BackendConfig
from flwr.serverapp import Grid, ServerApp
from flwr.simulation import run_simulation
from flwr.supercore import telemetry

from fedsynth_client.budget.receipts import load_or_create_key
from fedsynth_client.courier import make_courier
from fedsynth_client.vault.callers import LocalVault
from fedsynth_common.cli.main import QUIET
from fedsynth_common.errors import FedsynthError
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.tables import read_table
from fedsynth_server.progress import StudyProgress
from fedsynth_server.study.result import StudyResult
from fedsynth_server.study.study import Study
from fedsynth_server.training.settings import TrainingSettings
from fedsynth_simulations.federation import make_vault


def run_on_ray(
    frames: Mapping[str, pd.DataFrame], plan: Plan, settings: TrainingSettings, seed: int | None
) -> StudyResult:
    """Run the plan on Ray, with one actor per core, or with a single one if the noise is seeded.

    Raises:
        FedsynthError: the study failed, or the simulation ended without a result.
    """
    outcomes: list[StudyResult] = []
    failures: list[FedsynthError] = []
    server = ServerApp()

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        try:
            with StudyProgress() as progress:
                outcomes.append(Study(plan, settings, grid, progress).run())
        except FedsynthError as error:  # Flower would log it and go on
            failures.append(error)

    _be_quiet()
    with tempfile.TemporaryDirectory(prefix="fedsynth-ray-") as name:
        _write_sites(Path(name), frames, plan, seed)
        run_simulation(
            server_app=server,
            client_app=make_courier(_Connector(name)),
            num_supernodes=len(plan.sites),
            backend_config=_resources(seeded=seed is not None),
        )
    if failures:
        raise failures[0]
    if not outcomes:
        raise FedsynthError("the Ray simulation ended without a result; see Flower's log above")
    return outcomes[0]


def _be_quiet() -> None:
    """Switch off the telemetry of Flower and of Ray, also for calls from Python."""
    telemetry.FLWR_TELEMETRY_ENABLED = "0"  # read from the environment once, at import
    for name, value in {**QUIET, "RAY_USAGE_STATS_ENABLED": "0"}.items():
        os.environ.setdefault(name, value)


def _resources(*, seeded: bool) -> BackendConfig:
    """Ray's share of the machine. Actors print nothing, as standard output is for the result."""
    start: dict[str, ConfigRecordValues] = {"log_to_driver": False}
    if seeded:
        start["num_cpus"] = 1
    return {"client_resources": {"num_cpus": 1.0, "num_gpus": 0.0}, "init_args": start}


def _write_sites(
    folder: Path, frames: Mapping[str, pd.DataFrame], plan: Plan, seed: int | None
) -> None:
    (folder / "plan.json").write_bytes(plan.to_json())
    (folder / "seed.json").write_text(json.dumps(seed))
    for number, site in enumerate(plan.sites):
        load_or_create_key(folder / f"{number}.key")
        frames[site].to_parquet(folder / f"{number}.parquet", index=False)


class _Connector:
    """Finds the vault of a node. It can be pickled, so that Ray can send it to its actors."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, context: Context) -> LocalVault:
        return _vault(self.folder, int(context.node_config["partition-id"]))


@cache
def _vault(folder: str, number: int) -> LocalVault:
    """The vault of one site, which each actor makes once."""
    root = Path(folder)
    plan = Plan.from_json((root / "plan.json").read_bytes())
    seed = json.loads((root / "seed.json").read_text())
    frame = read_table(root / f"{number}.parquet")
    ledger = root / f"{number}.ledger"
    key = load_or_create_key(root / f"{number}.key")
    site_seed = None if seed is None else seed * 1000 + number
    return LocalVault(make_vault(plan.sites[number], frame, plan, ledger, site_seed, key))
