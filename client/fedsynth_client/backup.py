"""A site's backup, and what a restored site still owes.

A backup holds the ledger as it was. What was charged since then is not in it, so a restored ledger would
give budget a second time. Therefore a restore charges every plan that may have run since, in full, and
closes its study: the vault answers nothing in it any more, neither a step that was lost nor one that
would follow. Which plans those are, the ledger says for studies that it knew, the policy for plans that
were approved before the backup, and the steward for those approved after it.

No file of the site can show that a ledger and its witness were both set back by other means than this
(a snapshot of the whole machine). The receipts can, which other people hold: `missing_charges`.
"""

import json
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature

from fedsynth_client.budget.charge_chain import genesis, verified_links
from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.budget.ledger_guards import Witness
from fedsynth_client.budget.policy import Policy
from fedsynth_client.budget.receipts import load_or_create_key
from fedsynth_client.budget.spending import read_ledger
from fedsynth_client.connection.approved_bundle import install
from fedsynth_client.connection.node_key import make_node_key
from fedsynth_client.settings.site_config import CourierConfig, SiteConfig
from fedsynth_common.archive import Manifest, pack, unpack
from fedsynth_common.durable import write_durably
from fedsynth_common.errors import FedsynthError, InputError, RefusalError
from fedsynth_common.limits import read_limited
from fedsynth_common.protocol.key_change import earlier_keys, read_key_change
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.protocol.receipt import Receipt
from fedsynth_common.protocol.signed_file import read_invitation
from fedsynth_common.sqlite_files import copy_database, reading

KIND = "fedsynth-site-backup-1"
_PAPERS = (
    *("coordinator.key.pub", "authority.notice", "*.plan.json", "*.answer", "*.invitation"),
    "*.key-change",
)
_MOST_STATEMENT = 1 << 26  # bytes


def back_up(config: Path, out: Path) -> Manifest:
    """Write a backup of a site, whether its vault runs or not. Records are not in it.

    Raises:
        InputError: a file is missing or cannot be read, or `out` exists.
        FedsynthError: the ledger is not sound.
    """
    site = SiteConfig.load(config)
    policy, folder = Policy.load(site.policy), config.absolute().parent
    state = read_ledger(site.ledger, policy.dataset, site.witness)
    if state.fault:
        raise FedsynthError(f"ledger {site.ledger}: {state.fault}; it is not backed up")
    courier = _courier(site)
    files = {"site.toml": config, **_places(site, courier)}
    for pattern in _PAPERS:
        files |= {f"papers/{path.name}": path for path in sorted(folder.glob(pattern))}
    files = {name: path for name, path in files.items() if path.exists()}
    with _copied(site.ledger) as copy:
        if state.started:
            files["ledger"] = copy
        return pack(out, KIND, {"dataset": policy.dataset}, files)


def _courier(site: SiteConfig) -> CourierConfig | None:
    """The courier's configuration; None if there is none, or one that nobody has completed yet."""
    with suppress(InputError):
        return CourierConfig.load(site.courier) if site.courier else None
    return None


def _places(site: SiteConfig, courier: CourierConfig | None) -> dict[str, Path]:
    """The files of a site by their names in a backup, as its configurations place them."""
    places = {"policy": site.policy, "key": site.key, "schema": site.table_schema}
    if site.courier:
        places["courier.toml"] = site.courier
    if courier:
        places |= {"node.key": courier.node_key, "ca.crt": courier.root_certificates}
    return places


@contextmanager
def _copied(ledger: Path) -> Iterator[Path]:
    """A consistent copy of a ledger that may be in use."""
    with tempfile.TemporaryDirectory(dir=ledger.parent) as scratch:
        copy = Path(scratch) / "ledger"
        if ledger.exists():
            copy_database(ledger, copy)
        yield copy


@dataclass(frozen=True, kw_only=True)
class Restored:
    """A site that was restored.

    Attributes:
        config: site.toml.
        manifest: of the backup.
        closed: studies that are answered no more, and how many steps the restore charged for each.
        bundle: whether the app bundle was installed again.
    """

    config: Path
    manifest: Manifest
    closed: dict[str, int]
    bundle: bool


def restore(backup: Path, folder: Path, since: Sequence[Plan]) -> Restored:
    """Write the files of a backup into a new folder, and charge what may have been charged since.

    If that fails, the files that were written are taken away again.

    Args:
        backup: the file.
        folder: of the site; new or empty. Places that site.toml names absolutely are used as they are.
        since: plans that were approved after the backup.

    Raises:
        InputError: the backup is damaged, a file exists already, or the plan of an approval is missing.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: is not empty; choose a new folder")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    made: list[Path] = []
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        try:
            return _restored(backup, folder, since, Path(scratch), made)
        except BaseException:
            for place in reversed(made):
                place.unlink(missing_ok=True)
                with suppress(OSError):  # a folder that holds something else stays
                    place.parent.rmdir()
            raise


def _restored(
    backup: Path, folder: Path, since: Sequence[Plan], taken: Path, made: list[Path]
) -> Restored:
    manifest, config = unpack(backup, KIND, taken), folder / "site.toml"
    _put(taken / "site.toml", config, made)
    site = SiteConfig.load(config)
    courier = None
    if site.courier and (taken / "courier.toml").exists():
        _put(taken / "courier.toml", site.courier, made)
        courier = _courier(site)
    for name, place in _places(site, courier).items():
        kept = name == "schema" and place.exists()  # the public schema of all sites
        if (taken / name).exists() and name != "courier.toml" and not kept:
            _put(taken / name, place, made)
    for paper in sorted((taken / "papers").glob("*")):
        _put(paper, folder / paper.name, made)
    policy = Policy.load(site.policy)
    plans = _approved(policy, folder, since, taken / "ledger")
    closed = _close(taken, site, policy.dataset, plans, made)
    if courier and courier.node_key.exists():
        make_node_key(courier.node_key, policy.site or "")  # writes its public half
    bundled = courier is not None and _bundle(folder, courier)
    return Restored(config=config, manifest=manifest, closed=closed, bundle=bundled)


def _put(source: Path, place: Path, made: list[Path]) -> None:
    if place.exists():
        raise InputError(f"{place}: exists, and is not replaced; move it away first")
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made.append(place)
    write_durably(place, source.read_bytes(), 0o600)


def _approved(policy: Policy, folder: Path, since: Sequence[Plan], ledger: Path) -> list[Plan]:
    """Every plan that may have run after the backup was made."""
    plans = {plan.digest: plan for plan in (*since, *_accepted(ledger))}
    for file in folder.glob("*.plan.json"):
        plan = Plan.from_json(file.read_bytes())
        if policy.approves(plan.digest):
            plans[plan.digest] = plan
    if policy.approved_plans != "any" and (unknown := set(policy.approved_plans) - set(plans)):
        raise InputError(
            "the policy approves plans that the backup does not hold, and they may have run since; name "
            f"each with --plan PLAN: {', '.join(sorted(unknown))}"
        )
    return list(plans.values())


def _accepted(ledger: Path) -> list[Plan]:
    """The plans of all studies that a ledger knows."""
    if not ledger.exists():
        return []
    with reading(ledger) as database:
        rows = database.execute("SELECT plan_json FROM studies").fetchall()
    return [Plan.from_json(bytes(text)) for (text,) in rows]


def _close(
    taken: Path, site: SiteConfig, dataset: str, plans: Sequence[Plan], made: list[Path]
) -> dict[str, int]:
    """Put the ledger in its place with all charged that the plans allow; their studies end."""
    witness = site.witness or Path(f"{site.ledger}.witness")
    for place in (site.ledger, witness):
        if place.exists():
            raise InputError(
                f"{place}: exists, so the latest ledger may still be found, which is better than any "
                "backup (RUNBOOK.md). Only if it is gone for good, move this file away and repeat"
            )
    copy, beside = taken / "ledger", taken / "ledger.witness"
    if copy.exists():
        with closing(sqlite3.connect(copy)) as database:
            links = verified_links(database, genesis(dataset))
        Witness(beside).write(max(links), links[max(links)])
    ledger = Ledger(copy, dataset, witness=beside)
    try:
        closed = {plan.study: ledger.close_study(plan) for plan in plans}
    except RefusalError:
        raise InputError(
            "the ledger of the backup does not open, or a plan given with --plan has the name of "
            "another plan's study"
        ) from None
    finally:
        ledger.close()
    site.ledger.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _put(beside, witness, made)  # first: a witness without a ledger blocks
    _put(copy, site.ledger, made)
    return closed


def _bundle(folder: Path, courier: CourierConfig) -> bool:
    """Install the app bundle of an invitation again; False if there is no invitation."""
    for file in sorted(folder.glob("*.invitation")):
        install(read_invitation(file)[0].bundle_bytes, courier.home)
        return True
    return False


def missing_charges(statement: Path, site: SiteConfig, policy: Policy) -> bool:
    """Whether this site signed a receipt, published in a statement, that its ledger does not know.

    Then the ledger was set back, or another one was used.

    Raises:
        InputError: the statement cannot be read, or has no receipt of this site.
    """
    public = load_or_create_key(site.key).public_key().public_bytes_raw().hex()
    changes = [read_key_change(file) for file in site.key.parent.glob("*.key-change")]
    known = earlier_keys(policy.site or "", public, changes)
    try:
        lines = json.loads(read_limited(statement, _MOST_STATEMENT))["sites"]
        (own,) = [line for line in lines if line["receipt_key"] in known]
        body, signature, key = (
            bytes.fromhex(own[name]) for name in ("receipt", "signature", "receipt_key")
        )
        receipt = Receipt.opened(body, signature, key)
    except OSError as error:
        raise InputError(f"statement {statement}: cannot be read ({error.strerror})") from None
    except (ValueError, KeyError, TypeError, InvalidSignature):
        raise InputError(
            f"statement {statement}: expected a privacy_statement.json with one receipt that this "
            "site's key signed"
        ) from None
    with reading(site.ledger) as database:
        links = verified_links(database, genesis(policy.dataset))
    return receipt.ledger.head not in links.values()
