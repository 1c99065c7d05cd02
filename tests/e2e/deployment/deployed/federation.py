"""The whole federation, from certificates to a generator, and its certain end."""

import json
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any

import pandas as pd

from deployed.coordinator import Coordinator
from deployed.process import Process
from deployed.site import Site
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import Schema
from fedsynth_server.training.settings import TrainingSettings


class Federation:
    """A coordinator and one site per table. In order: `open`, `agree`, `start`, `run`.

    The folder lies outside pytest's own, which other users cannot enter; sockets need short paths.
    """

    def __init__(
        self,
        tables: Mapping[str, pd.DataFrame],
        schema: Schema,
        *,
        max_epsilon: float = 10.0,
        min_records: int = 100,
        max_epsilon_alone: float | None = None,
    ) -> None:
        self._end = ExitStack()
        self.folder = Path(
            self._end.enter_context(tempfile.TemporaryDirectory(prefix="fed-", dir="/tmp"))
        )
        self.folder.chmod(0o755)
        self.schema, self.schema_file = schema, self.folder / "schema.json"
        schema.save(self.schema_file)
        self._limits: dict[str, Any] = {
            "max_epsilon": max_epsilon,
            "min_records": min_records,
            "max_epsilon_alone": max_epsilon_alone,
        }
        self.coordinator = Coordinator(self.folder / "coordinator")
        self.sites = {
            name: Site(name, self.folder / name, table, schema) for name, table in tables.items()
        }

    def __enter__(self) -> "Federation":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.kill() if kind else process.stop(10)
        self._end.close()

    @property
    def processes(self) -> list[Process]:
        """Sites first: that is the order in which a federation is shut down."""
        sites = [process for site in self.sites.values() for process in site.processes[::-1]]
        return [*sites, *self.coordinator.processes[::-1]]

    def open(self) -> None:
        """Coordinator up; every site has its files and keys, is registered and has the bundle."""
        self.coordinator.start()
        self.coordinator.fedsynth("study", "bundle", "--out", self.folder)
        (fab,) = self.folder.glob("*.fab")
        for site in self.sites.values():
            site.init(self.coordinator.address, self.coordinator.ca, **self._limits)
            site.node = self.coordinator.register(site.public_key, site.name)
            site.install(fab)

    def agree(self, plan: Plan, **patience: float) -> Path:
        """A study's folder at the coordinator; every site has read and approved the plan.

        The folder is `fedsynth study init`'s; its plan is replaced, since the command's own has so many
        messages that a test would take minutes, and the generator is trained quickly.
        """
        study = self._init(plan.study, plan.records_per_site, plan.epsilon, plan.sites)
        (study / "plan.json").write_bytes(plan.to_json())
        return self._settle(study, patience)

    def agree_on_sum(self, name: str, records: int, epsilon: float, **patience: float) -> Path:
        """The same of a study with a secure sum, whose plan is `fedsynth study init`'s own.

        The coordinator was told every site's receipt key.
        """
        keys = [f"{site.name}={site.keys['receipt_key']}" for site in self.sites.values()]
        options = [
            "--trust",
            "secure-sum",
            *(word for key in keys for word in ("--receipt-key", key)),
        ]
        study = self._init(name, records, epsilon, self.sites, *options)
        return self._settle(study, patience)

    def _init(
        self, name: str, records: int, epsilon: float, sites: Iterable[str], *options: str
    ) -> Path:
        study = self.coordinator.folder / name
        self.coordinator.fedsynth(
            *("study", "init", study, "--schema", self.schema_file, "--study", name),
            *(word for site in sites for word in ("--site", site)),
            *("--records-per-site", records, "--epsilon", epsilon),
            *("--superlink", f"127.0.0.1:{self.coordinator.superlink_port}"),
            *("--root-certificate", self.coordinator.ca, "--variant", "marginals", *options),
        )
        return study

    def _settle(self, study: Path, patience: Mapping[str, float]) -> Path:
        """Quick training and the given patience; every site approves the plan."""
        settings = study / "study.toml"
        text = settings.read_text().replace("[sites]", f"[sites]\n{_toml(patience)}")
        quick = TrainingSettings().quick().model_dump(exclude_none=True)
        settings.write_text(f"{text}\n{_toml(quick)}\n")
        for site in self.sites.values():
            site.approve(study / "plan.json")
        return study

    def start(self) -> None:
        """Every vault serves, every courier is connected."""
        for site in self.sites.values():
            site.start()
        for process in self.processes:
            process.wait_ready()

    def run(self, study: Path, command: str = "run") -> str:
        """`fedsynth study run` (or `resume`), until the generator is there."""
        return self.coordinator.fedsynth("study", command, study)

    def state(self, study: Path) -> dict[str, Any]:
        """`state.json`: how far the study is."""
        try:
            found: dict[str, Any] = json.loads((study / "state.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return found

    def wait_for(self, condition: Any, seconds: float = 120.0, what: str = "") -> None:
        """Until `condition()` is true."""
        until = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > until:
                raise AssertionError(f"not within {seconds:g} s: {what}")
            time.sleep(0.1)


def _toml(fields: Mapping[str, object]) -> str:
    return "\n".join(f"{name} = {json.dumps(value)}" for name, value in fields.items())
