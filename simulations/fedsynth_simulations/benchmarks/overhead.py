"""`fedsynth benchmark overhead` compares the messages of a study with those of an empty Flower app.

Three runs use the same SuperLink and SuperNodes (`loopback`): an app with empty messages, a study of
the demonstration table with real vaults behind their sockets, and the empty app again, because the
speed of a machine changes over time. An exchange is one message to every site and its reply. Its
time ends with the last reply, so for a study it includes the computation of the sites and not the
training of the coordinator. The bytes are those on the wire, per site and message, including
Flower's polling and its app bundle.

Flower starts a process for every message. This takes most of the time of both apps, and it is the
reason why a study has few and large messages.
"""

import json
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import pandas as pd
from flwr.cli.build import build_fab_from_files

from fedsynth_client.vault.socket_server import start_server
from fedsynth_common.errors import FedsynthError
from fedsynth_common.protocol.plan import Plan
from fedsynth_server.study.folder import StudyFolder, SuperLinkAddress
from fedsynth_server.study.planning import Rounds, make_plan
from fedsynth_server.superlink.app_bundle import bundle
from fedsynth_server.superlink.control import SuperLink
from fedsynth_server.training.settings import TrainingSettings
from fedsynth_simulations.benchmarks.loopback import Loopback
from fedsynth_simulations.demo_data import demo_hospitals, demo_schema
from fedsynth_simulations.federation import make_vault

LIMIT = 4 * 3600.0
_EMPTY_APP = """\
[project]
name = "empty"
version = "0.1.0"
description = "Exchanges nothing."
license = { file = "LICENSE" }
dependencies = ["flwr>=1.41.0,<1.42"]

[tool.flwr.app]
publisher = "fedsynth"
fab-format-version = 1
flwr-version-target = "1.41.0"

[tool.flwr.app.components]
serverapp = "fedsynth_simulations.benchmarks.empty_app:server"
clientapp = "fedsynth_simulations.benchmarks.empty_app:client"

[tool.flwr.app.config]
study = ""
"""


@dataclass(frozen=True)
class Exchanges:
    """A run's exchanges: messages to each site, mean seconds and mean bytes per site of one."""

    messages: int
    seconds: float
    bytes: float


@dataclass(frozen=True)
class Overhead:
    """A study beside the empty app.

    Attributes:
        empty, study: their exchanges. Enrolment and receipt are among the study's messages, but not
            in its time, which the journal tells.
        body_bytes: bytes of the study's own requests and replies per message and site; the rest of
            `study.bytes` is Flower's.
    """

    empty: Exchanges
    study: Exchanges
    body_bytes: float

    @property
    def time_ratio(self) -> float:
        """Seconds of a study's exchange over those of an empty one."""
        return self.study.seconds / self.empty.seconds

    @property
    def bytes_ratio(self) -> float:
        """Bytes of a study's exchange over those of an empty one."""
        return self.study.bytes / self.empty.bytes


def measure_overhead(sites: int, messages: int, empty_exchanges: int) -> Overhead:
    """Run both and compare.

    Args:
        sites: number of hospitals. More than the demonstration table has share its records.
        messages: adversarial messages of the study; a study's default is 24.
        empty_exchanges: exchanges of the empty app.

    Raises:
        FedsynthError: a process or a run failed.
    """
    with tempfile.TemporaryDirectory(prefix="fedsynth-") as name, ExitStack() as stack:
        folder = Path(name)
        tables = _tables(sites)
        plan = _plan(tuple(tables), min(map(len, tables.values())), messages)
        sockets = []
        for site, table in tables.items():
            sockets.append(folder / f"{site}.sock")
            vault = make_vault(site, table, plan, folder / f"{site}.ledger", None)
            server = start_server(vault, sockets[-1])
            stack.callback(server.stop, None)
        nodes = stack.enter_context(Loopback(folder, sockets))
        halves = [empty_exchanges - empty_exchanges // 2, empty_exchanges // 2]
        runs = [_empty(nodes, folder / "before.json", halves[0], sites)]
        study, body = _study(nodes, folder / "study", plan)
        if halves[1]:
            runs.append(_empty(nodes, folder / "after.json", halves[1], sites))
        return Overhead(_together(runs), study, body)


def _together(runs: list[Exchanges]) -> Exchanges:
    number = sum(run.messages for run in runs)
    return Exchanges(
        messages=number,
        seconds=sum(run.seconds * run.messages for run in runs) / number,
        bytes=sum(run.bytes * run.messages for run in runs) / number,
    )


def _tables(sites: int) -> dict[str, pd.DataFrame]:
    """The first of the demonstration's hospitals, or all records dealt out to so many sites."""
    hospitals = demo_hospitals()
    if sites <= len(hospitals):
        return dict(list(hospitals.items())[:sites])
    records = pd.concat(hospitals.values(), ignore_index=True)
    return {f"site-{k + 1:02}": records.iloc[k::sites] for k in range(sites)}


def _plan(sites: tuple[str, ...], records: int, messages: int) -> Plan:
    return make_plan(
        study="overhead",
        table=demo_schema(),
        sites=sites,
        records_per_site=records,
        epsilon=1.0,
        delta=1e-5,
        variant="both",
        rounds=Rounds(messages=messages),
    )


def _empty(nodes: Loopback, target: Path, exchanges: int, sites: int) -> Exchanges:
    target.write_text(json.dumps([exchanges, sites]))
    app, _ = build_fab_from_files(
        {"pyproject.toml": _EMPTY_APP.encode(), "LICENSE": b"Apache-2.0\n"}
    )
    before = nodes.bytes_per_site
    _run(nodes, app, target)
    seconds = json.loads(target.read_text())
    return Exchanges(exchanges, mean(seconds), (nodes.bytes_per_site - before) / exchanges)


def _study(nodes: Loopback, path: Path, plan: Plan) -> tuple[Exchanges, float]:
    study = StudyFolder(path)
    path.mkdir()
    study.plan_file.write_bytes(plan.to_json())
    training = TrainingSettings().quick().model_dump(exclude_none=True)  # not what is measured
    lines = [f"{name} = {json.dumps(value)}" for name, value in training.items()]
    study.config_file.write_text(
        "\n".join(
            [
                "[superlink]",
                f'address = "127.0.0.1:{nodes.port}"',
                "insecure = true",
                "[training]",
                *lines,
            ]
        )
    )
    before = nodes.bytes_per_site
    _run(nodes, bundle(), path)
    if not study.finished():
        raise FedsynthError("the study of the benchmark failed")
    seconds = exchange_seconds(study.journal)
    used = nodes.bytes_per_site - before
    body = sum(file.stat().st_size for file in study.journal.glob("*.reply")) / len(plan.sites)
    body += sum(file.stat().st_size for file in study.journal.glob("*.request"))
    number = len(seconds) + 2  # enrolment and receipt have no place in the journal
    return Exchanges(number, mean(seconds), used / number), body / number


def exchange_seconds(journal: Path) -> list[float]:
    """From each request's entry in the journal to the entry that closes its exchange."""
    return [
        closed.stat().st_mtime - closed.with_suffix(".request").stat().st_mtime
        for closed in sorted(journal.glob("*.closed"))
    ]


def _run(nodes: Loopback, app: bytes, target: Path) -> None:
    """Run an app to its end.

    Raises:
        FedsynthError: it failed, or took hours.
    """
    until = time.monotonic() + LIMIT
    with SuperLink(SuperLinkAddress(address=f"127.0.0.1:{nodes.port}", insecure=True)) as link:
        run = link.start(app, target)
        while not (status := link.status(run)).over:
            if time.monotonic() > until:
                raise FedsynthError(f"run {run}: not over after {LIMIT / 3600:g} hours")
            time.sleep(1.0)
    if status.outcome != "completed":
        raise FedsynthError(f"run {run}: {status} ({status.details})")
