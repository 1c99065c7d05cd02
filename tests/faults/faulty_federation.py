"""The federation of tests/e2e/deployment with two relays at every site, to listen and to cut.

    coordinator <-- TLS -- `wires[site]` <-- SuperNode ... courier -- `taps[site]` --> vault

The tap sees what the courier is given, in plaintext; the wire what the network sees.
"""

import contextlib
import os
import signal
from pathlib import Path

from canaries import table_with_canaries
from deployed import Federation
from deployed.process import children
from small_study import SCHEMA, SITES, make_frames
from wires import Relay

from fedsynth_client.budget.charge_chain import read_charges
from fedsynth_server.study.planning import Rounds, make_plan

ROWS = 400
PATIENCE = {"deadline": 400.0, "gather": 300.0, "retry": 2.0, "patience": 300.0}


def small_plan(study, messages=3, sites=SITES):
    return make_plan(
        study=study,
        table=SCHEMA,
        sites=sites,
        records_per_site=ROWS,
        epsilon=1.0,
        delta=1e-5,
        variant="both",
        rounds=Rounds(messages=messages, steps_per_message=3),
    )


class FaultyFederation(Federation):
    """Three clinics whose tables hold canaries, each behind relays."""

    def __init__(self):
        tables = {site: table_with_canaries(frame) for site, frame in make_frames(ROWS).items()}
        super().__init__(tables, SCHEMA, max_epsilon=20.0, min_records=100)
        self.wires, self.taps = {}, {}
        for site in self.sites.values():
            vault = str(site.socket)
            self.wires[site.name] = Relay(
                ("127.0.0.1", 0), ("127.0.0.1", self.coordinator.public_port)
            )
            self.taps[site.name] = Relay(str(site.folder / "tap.sock"), vault)

    def open(self):
        """As in `Federation`, but the sites know the coordinator by their own wire."""
        self.coordinator.start()
        self.coordinator.fedsynth("study", "bundle", "--out", self.folder)
        (fab,) = self.folder.glob("*.fab")
        for site in self.sites.values():
            address = f"localhost:{self.wires[site.name].port}"
            site.init(address, self.coordinator.ca, **self._limits)
            config = site.courier_config
            config.write_text(
                config.read_text().replace(str(site.socket), self.taps[site.name].here)
            )
            site.node = self.coordinator.register(site.public_key, site.name)
            site.install(fab)

    def __exit__(self, *error):
        super().__exit__(*error)
        for relay in (*self.wires.values(), *self.taps.values()):
            relay.close()

    def charged(self, study):
        """Steps charged for a study, by site."""
        return {
            site.name: [c.step for c in read_charges(site.ledger) if c.study == study]
            for site in self.sites.values()
        }

    def reaches(self, study, stage, seconds=300.0):
        """Wait until the study says that it is at a stage."""
        stages = (stage,) if isinstance(stage, str) else stage
        self.wait_for(lambda: self.state(study).get("stage") in stages, seconds, f"{stages}")

    def detached(self, study, command="run"):
        """Start a run and return at once."""
        self.coordinator.fedsynth("study", command, study, "--detach")

    def ends(self, study, seconds=400.0):
        """Wait until the study is over; returns its state."""
        self.wait_for(
            lambda: self.state(study).get("outcome") in ("finished", "failed"), seconds, "the end"
        )
        return self.state(study)


def descendants(pid):
    """Name and number of every process below one."""
    found = []
    for name, child in children(pid).items():
        found += [(name, child), *descendants(child)]
    return found


def kill_courier_process(site):
    """kill -9 of the `flwr-clientapp` that carries a message right now; False if there is none."""
    for name, pid in descendants(site.courier.pid):
        if "flwr-clientapp" in name:
            os.kill(pid, signal.SIGKILL)
            return True
    return False


def supernode_of(site):
    """The number of a site's SuperNode; None while it is not there."""
    for pid in children(site.courier.pid).values():
        with contextlib.suppress(OSError):
            if b"supernode" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
    return None


def all_bytes(folder: Path, leave_out=()):
    """Every file below a folder, with its bytes, but those of `leave_out`."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink() and path not in leave_out:
            yield path, path.read_bytes()
