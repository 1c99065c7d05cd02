"""The folder of a simulated study that is not finished: what `--resume` goes on from.

A study that stops, by Ctrl-C or because the computer does, leaves `OUT.unfinished` beside its result's
place. It holds what the sites and the coordinator of a real study keep: each site's ledger and signing
key, the coordinator's journal, and how the records were dealt out. A resumed study deals them out
alike, takes the replies that are in the journal, and no site is charged a second time. The folder is
open to its owner alone, holds no record, and is removed when the result is whole.
"""

import hashlib
import json
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedsynth_client.budget.receipts import load_or_create_key
from fedsynth_common.durable import write_durably
from fedsynth_common.errors import FedsynthError, InputError
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.tables.files import open_regular
from fedsynth_server.messages.journal import Journal
from fedsynth_server.study.folder_lock import FolderLock
from fedsynth_server.training.settings import TrainingSettings
from fedsynth_simulations.closed_file import OWNER_ONLY
from fedsynth_simulations.federation import SigningKeys, new_keys

CHANGED = (
    "--resume: {what} is not what it was when the study was stopped; repeat the same command with the "
    "same table, or remove {folder} to begin again"
)
BLOCK = 1 << 20
STOPPED = (
    "stopped; {folder} keeps what the sites have answered. The same command with --resume goes on "
    "from there"
)


class StoppedError(FedsynthError):
    """Somebody stopped a study that can be resumed."""

    exit_code = 130


@dataclass(kw_only=True)
class Clock:
    """Counts the seconds of a command.

    Attributes:
        spent: seconds that earlier runs of it took.
    """

    spent: float = 0.0
    _begun: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Seconds of all runs until now."""
        return self.spent + time.monotonic() - self._begun


@dataclass
class Unfinished(Clock):
    """A study that may be stopped and resumed. Its folder is made once the plan is known.

    Attributes:
        folder: `OUT.unfinished`.
        seed: decides which site gets which record, and which records are held out.
        facts: what must be the same when it is resumed.
    """

    folder: Path
    seed: int
    facts: dict[str, Any]
    _keys: SigningKeys = field(default_factory=dict)

    def keys(self, sites: Iterable[str]) -> SigningKeys:
        """The key that each site signs with."""
        if self.folder.is_dir():
            self._keys = {
                site: load_or_create_key(self.folder / f"{place:03d}.key")
                for place, site in enumerate(sites)
            }
        else:
            self._keys = new_keys(sites)
        return self._keys

    def ledger(self, place: int) -> Path:
        """The ledger of the site at this place of the plan."""
        return self.folder / f"{place:03d}.ledger"

    def journal(self, plan: Plan, settings: TrainingSettings) -> Journal:
        """The coordinator's journal.

        Raises:
            InputError: the study that was stopped had another plan.
        """
        begun = self.folder / "plan"
        if not self.folder.exists():
            self._make(plan)
        elif begun.read_text(encoding="ascii") != plan.digest:
            raise InputError(CHANGED.format(what="the plan of the study", folder=self.folder))
        return Journal(self.folder / "journal", plan, settings.model_dump_json())

    def _make(self, plan: Plan) -> None:
        try:
            self.folder.mkdir(mode=0o700, parents=True)
            for place, key in enumerate(self._keys.values()):
                write_durably(self.folder / f"{place:03d}.key", key.private_bytes_raw(), OWNER_ONLY)
            write_durably(self.folder / "plan", plan.digest.encode(), OWNER_ONLY)
            self.stop()
        except OSError as error:
            raise InputError(f"{self.folder}: cannot be written ({error.strerror})") from None

    @property
    def answered(self) -> bool:
        """Whether a site has answered, so that there is something to go on from."""
        return any((self.folder / "journal").glob("*.reply"))

    def stop(self) -> None:
        """Keep how long the study has taken until now."""
        facts = {**self.facts, "seed": self.seed, "spent": self.seconds}
        write_durably(self.folder / "study.json", json.dumps(facts).encode(), OWNER_ONLY)

    def done(self) -> None:
        """The result is whole."""
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def resumable(
    out: Path, table: Path, options: dict[str, Any], resume: bool, force: bool
) -> Iterator[Unfinished]:
    """A study that is begun, or gone on with, and whose folder stays if it is stopped on the way.

    Args:
        out: folder of the result.
        table: file of the records.
        options: how the records are dealt out; a resumed study must have the same.
        resume: go on.
        force: remove a study that was stopped, to begin again.

    Raises:
        InputError: nothing to resume, something to resume although it is not asked for, or a table or
            options that have changed.
        FedsynthError: another run writes the same result.
        StoppedError: the study was stopped by Ctrl-C, and can be resumed.
    """
    folder = out.with_name(f"{out.name}.unfinished")
    with _alone(out):
        facts = {"table": _digest(table), "options": options}
        study = _resumed(folder, out, facts) if resume else _new(folder, facts, force)
        with _kept(study):
            yield study


@contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Be the only run of this user that writes this result; a refused run leaves no folder behind."""
    place = hashlib.sha256(os.fsencode(out.absolute())).hexdigest()[:16]
    lock = Path(tempfile.gettempdir()) / f"fedsynth-{os.getuid()}-{place}.lock"
    with FolderLock(out, lock):
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


@contextmanager
def _kept(study: Unfinished) -> Iterator[None]:
    """Keep the folder of a study that is stopped after a site has answered, and no other."""
    try:
        yield
    except BaseException as error:
        if not study.answered:
            study.done()
            raise
        study.stop()
        if isinstance(error, KeyboardInterrupt):
            raise StoppedError(STOPPED.format(folder=study.folder)) from None
        raise
    study.done()


def _new(folder: Path, facts: dict[str, Any], force: bool) -> Unfinished:
    if folder.exists():
        if not force:
            raise InputError(
                f"{folder}: holds a study that was stopped; go on with it by --resume, or begin again "
                "with --force"
            )
        shutil.rmtree(folder)
    return Unfinished(folder, secrets.randbits(63), facts)


def _resumed(folder: Path, out: Path, facts: dict[str, Any]) -> Unfinished:
    if not folder.is_dir():
        raise InputError(f"--resume: no study was stopped for --out {out}; leave --resume out")
    try:
        kept = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise InputError(f"{folder}: cannot be read; remove it to begin again") from None
    for name, what in (("table", "the table"), ("options", "how records are dealt out")):
        if kept.get(name) != facts[name]:
            raise InputError(CHANGED.format(what=what, folder=folder))
    return Unfinished(folder, int(kept["seed"]), facts, spent=float(kept["spent"]))


def _digest(table: Path) -> str:
    digest = hashlib.sha256()
    with open_regular(table) as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
