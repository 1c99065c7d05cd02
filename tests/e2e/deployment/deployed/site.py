"""One site: what its data steward types, in the order of client/README.md, and its two processes."""

import json
import shutil
from pathlib import Path

import grpc
import pandas as pd
from command import Ended
from command import fedsynth as in_process

from deployed.coordinator import BIN, environment
from deployed.process import Process, children, free_ports
from deployed.separation import COURIER, VAULT, separation
from fedsynth_common.schema import Schema


class Site:
    """Folders: `vault/` (the vault's user alone), `courier/` (the courier's), `socket/` (both)."""

    def __init__(self, name: str, folder: Path, table: pd.DataFrame, schema: Schema) -> None:
        self.name, self.folder, self.schema = name, folder, schema
        self.files, self.outside, self.sockets = (
            folder / place for place in ("vault", "courier", "socket")
        )
        self.home = self.outside / "flower"
        folder.mkdir(parents=True)
        (folder / "python").mkdir()
        self.sockets.mkdir()
        self.config, self.courier_config = (
            self.files / "site.toml",
            self.outside / "courier.toml",
        )
        self.data = folder / "records.csv"
        table.to_csv(self.data, index=False)
        schema.save(folder / "schema.json")
        self.keys: dict[str, str] = {}
        self.node = 0
        self.environment = environment(folder, TMPDIR="/tmp")
        self._since = 0
        self.vault = self._process(
            "vault", ["serve", "--config", str(self.config)], VAULT, self._vault_ready
        )
        self.courier = self._process(
            "courier",
            ["connect", "--courier", str(self.courier_config)],
            COURIER,
            self._courier_ready,
        )

    @property
    def ledger(self) -> Path:
        return self.files / "ledger.db"

    @property
    def socket(self) -> Path:
        return self.sockets / "vault.sock"

    @property
    def processes(self) -> tuple[Process, ...]:
        return self.vault, self.courier

    def init(
        self,
        superlink: str,
        ca: Path,
        *,
        max_epsilon: float,
        min_records: int,
        max_epsilon_alone: float | None,
    ) -> None:
        """`init`, `check`, `key`: the site has its files and its keys."""
        self.type(
            *("init", self.files, "--data", self.data, "--schema", self.folder / "schema.json"),
            *("--dataset", f"people of {self.name}", "--site", self.name),
            *("--max-epsilon", max_epsilon, "--superlink", superlink),
            *("--courier", self.outside, "--socket", self.socket),
        )
        policy = self.files / "policy.toml"
        text = policy.read_text()
        text = text.replace("min_records = 100 ", f"min_records = {min_records} ")
        if max_epsilon_alone is not None:  # the steward allows secure sums
            proposed = "# max_epsilon_alone = 4.0"
            assert proposed in text
            text = text.replace(proposed, f"max_epsilon_alone = {max_epsilon_alone}")
        policy.write_text(text)
        self.choose_ports()
        shutil.copy(ca, self.outside / "ca.crt")
        self.type("check", "--config", self.config)
        self.keys = json.loads(self.type("key", "--config", self.config, "--json").stdout)
        self.lock()

    def choose_ports(self) -> None:
        """Ports that no other site of these tests has; `init` finds those free that nobody uses yet."""
        runtime, health = free_ports(2)
        lines = self.courier_config.read_text().splitlines()
        lines = [line for line in lines if not line.startswith(("runtime_port", "health_port"))]
        lines += [f"runtime_port = {runtime}", f"health_port = {health}"]
        self.courier_config.write_text("\n".join(lines) + "\n")

    @property
    def public_key(self) -> Path:
        return self.outside / "node.key.pub"

    def approve(self, plan: Path) -> None:
        self.type("approve", plan, "--config", self.config, "--yes")
        self.lock()

    def install(self, fab: Path) -> None:
        """Look into the bundle and lock it in; it belongs to nobody of the site."""
        self.type("bundle", fab, "--install", self.home)

    def status(self) -> dict[str, object]:
        """What the steward sees of the budget."""
        said: dict[str, object] = json.loads(
            self.type("status", "--config", self.config, "--json").stdout
        )
        return said

    def type(self, *arguments: object, check: bool = True) -> Ended:
        """`fedsynth site ...`, as the steward."""
        ended = in_process("site", *arguments)
        assert not check or ended.returncode == 0, ended.stderr
        return ended

    def flower_pids(self) -> dict[str, int]:
        """Processes that the courier keeps: `flower-supernode` and `flower-superexec`."""
        return children(self.courier.pid)

    def lock(self) -> None:
        """Give every file to the user whose it is."""
        own = separation().own
        for root, user in ((self.files, VAULT), (self.outside, COURIER)):
            for path in (root, *root.rglob("*")):
                if self.home not in (path, *path.parents):
                    private = 0o700 if path.is_dir() else 0o600
                    own(path, user, private)
        own(self.sockets, VAULT, 0o2750)
        own(self.data, VAULT, 0o400)

    def _process(self, name: str, arguments: list[str], user: int, ready) -> Process:
        return Process(
            f"{self.name}'s {name}",
            [str(BIN / "fedsynth"), "site", *arguments],
            self.folder / f"{name}.log",
            env=self.environment,
            ready=ready,
            prefix=separation().prefix(user, self.folder / "python", network=name == "courier"),
        )

    def _vault_ready(self) -> bool:
        if not self.socket.exists():
            return False
        with grpc.insecure_channel(f"unix:{self.socket}") as channel:
            try:
                grpc.channel_ready_future(channel).result(timeout=0.5)
            except grpc.FutureTimeoutError:
                return False
        return True

    def start(self) -> None:
        """Vault, then courier; the courier's connection is waited for elsewhere."""
        self.vault.start(wait=0)
        self.start_courier(wait=0)

    def start_courier(self, wait: float = 120.0) -> None:
        self._since = len(self.courier.text)
        self.courier.start(wait)

    def _courier_ready(self) -> bool:
        return "SuperNode ID:" in self.courier.text[self._since :]
