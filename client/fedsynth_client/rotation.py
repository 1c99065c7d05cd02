"""Replaces the keys of a site: the courier's node key, the receipt key, the trusted authority.

A new key is written whole beside the old one before anything is replaced, so a command that was cut off
is typed again and goes on with the same new key. The vault must be stopped for a new receipt key, since
it holds the old one in memory; the lock of its ledger shows whether it is.
"""

import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.budget.policy import Policy
from fedsynth_client.budget.receipts import load_or_create_key
from fedsynth_client.budget.spending import LedgerState, read_ledger
from fedsynth_client.connection.node_key import make_node_key, public_path
from fedsynth_client.joining import COORDINATOR_KEY, courier_of, write_answer
from fedsynth_client.settings.site_config import SiteConfig
from fedsynth_common.certificate_expiry import certificates_in
from fedsynth_common.durable import write_durably
from fedsynth_common.errors import FedsynthError, InputError, RefusalError
from fedsynth_common.protocol.key_change import key_change
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.protocol.signed_file import Notice, fingerprint, read_notice

LAST_NOTICE = "authority.notice"


def new_node_key(config: Path) -> list[Path]:
    """Replace the courier's key; returns the answers, written again, for the coordinator.

    Raises:
        InputError: a file is missing or cannot be written.
    """
    site = SiteConfig.load(config)
    courier, name = courier_of(site, config), _name(site)
    made = courier.node_key.with_name(f"{courier.node_key.name}.new")
    make_node_key(made, name)
    _replace(made, courier.node_key)
    public_path(made).unlink(missing_ok=True)
    make_node_key(courier.node_key, name)  # its public half
    folder = config.absolute().parent
    answers = []
    for file in sorted(folder.glob("*.plan.json")):
        plan = Plan.from_json(file.read_bytes())
        answers.append(write_answer(folder, plan, name, site, courier))
    return answers


@dataclass(frozen=True, kw_only=True)
class NewReceiptKey:
    """A site's new receipt key.

    Attributes:
        key: its public half in hex.
        change: the file for coordinator and auditors; None for a key that was exposed.
        old: the public half of the key before, in hex.
        complete: studies that were charged in full, whose receipts the coordinator must have by now.
    """

    key: str
    old: str
    change: Path | None
    complete: tuple[str, ...]


def new_receipt_key(
    config: Path, *, exposed: bool = False, given_up: tuple[str, ...] = ()
) -> NewReceiptKey:
    """Replace the receipt key.

    Args:
        config: site.toml.
        exposed: somebody else may have the old key, so that it signs nothing any more.
        given_up: studies that this site takes part in no more.

    Raises:
        FedsynthError: the vault runs, the ledger is not sound, or a study has begun with the old key.
    """
    site = SiteConfig.load(config)
    policy = Policy.load(site.policy)
    if not site.key.exists():
        raise InputError(f"key {site.key}: there is none; make one with: fedsynth site key")
    state = _stopped(site, policy.dataset)
    done = Counter(charge.study for charge in state.charges)
    open_ = [name for name, steps in state.planned.items() if done[name] < steps]
    if waiting := sorted(set(open_) - set(given_up)):
        raise FedsynthError(
            f"the receipt key signs for studies that have begun: {', '.join(waiting)}. Let them finish "
            "first. Where this site is to take part no more, name the study with --give-up STUDY; the "
            "coordinator then refuses this site there, and goes on only with a quorum"
        )
    old = load_or_create_key(site.key)
    made = site.key.with_name(f"{site.key.name}.new")
    new = load_or_create_key(made)
    before, after = (key.public_key().public_bytes_raw().hex() for key in (old, new))
    change = None
    if not exposed:
        change = config.absolute().parent / f"receipt-key-{after[:8]}.key-change"
        write_durably(change, key_change(_name(site), old, new), 0o644)
    _replace(made, site.key)
    complete = tuple(sorted(name for name in state.planned if name not in open_))
    return NewReceiptKey(key=after, old=before, change=change, complete=complete)


def _stopped(site: SiteConfig, dataset: str) -> LedgerState:
    """What the ledger holds, once it is certain that no vault has it open."""
    state = read_ledger(site.ledger, dataset, site.witness)
    if state.fault:
        raise FedsynthError(f"ledger {site.ledger}: {state.fault}")
    if state.started:
        try:
            Ledger(site.ledger, dataset, witness=site.witness).close()
        except RefusalError:
            raise FedsynthError(
                f"ledger {site.ledger}: the vault runs and signs with the old key; stop it first"
            ) from None
    return state


def new_authority(config: Path, file: Path) -> Notice:
    """Trust the authorities of a coordinator's notice, and no others, from the next connection on.

    Raises:
        InputError: another key than the coordinator's signed it, it is older than the last one, or a
            file cannot be written.
    """
    folder = config.absolute().parent
    courier = courier_of(SiteConfig.load(config), config)
    notice, key = read_notice(file)
    known = folder / COORDINATOR_KEY
    if not known.exists():
        raise InputError(
            f"{known}: is missing, so nobody can tell whose notice this is; compare the fingerprint "
            f"{fingerprint(key)} with the coordinator's by telephone, and write {key} into that file"
        )
    if known.read_text("utf-8").strip() != key:
        raise InputError(
            f"notice {file}: is signed with another key ({fingerprint(key)}) than the invitations; ask "
            "the coordinator by telephone"
        )
    last = folder / LAST_NOTICE
    if last.exists() and read_notice(last)[0].written > notice.written:
        raise InputError(f"notice {file}: is older than the last one; ask for the latest")
    made = courier.root_certificates.with_name(f"{courier.root_certificates.name}.new")
    write_durably(made, notice.authority.encode(), 0o644)
    certificates_in(made)
    _replace(made, courier.root_certificates)
    write_durably(last, file.read_bytes(), 0o644)
    return notice


def _name(site: SiteConfig) -> str:
    name = Policy.load(site.policy).site
    if not name:
        raise InputError(f'policy {site.policy}: names no site; write: site = "NAME"')
    return name


def _replace(made: Path, place: Path) -> None:
    """Put a new file in the place of an old one, whose owner it gets where that is allowed."""
    try:
        with suppress(PermissionError, FileNotFoundError):
            state = place.stat()
            os.chown(made, state.st_uid, state.st_gid)
        made.replace(place)
    except OSError as error:
        raise InputError(f"{place}: cannot be replaced ({error.strerror})") from None
