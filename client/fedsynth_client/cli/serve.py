"""`fedsynth site serve`: starts the vault, and refuses whatever `fedsynth site check` refuses."""

import logging
from typing import TYPE_CHECKING

import typer

from fedsynth_client.cli.options import ConfigPath
from fedsynth_common.errors import ErrorCode, FedsynthError, RefusalError

if TYPE_CHECKING:
    from fedsynth_client.budget.cohort_seals import SealBook
    from fedsynth_client.budget.ledger import Ledger
    from fedsynth_client.budget.policy import Policy
    from fedsynth_client.records.records import Records
    from fedsynth_client.settings.site_config import SiteConfig
    from fedsynth_common.privacy.randomness import Randomness
    from fedsynth_common.schema import Schema

_log = logging.getLogger("fedsynth.vault")
IN_USE = "in use by another vault; stop one, and never run two on copies of one ledger"
NOT_WRITABLE = (
    "sound as far as it can be read, but this user cannot write it: the disk is full or read-only, or "
    "the file or its folder belongs to another user; make room, or chown them to the vault's user"
)


def serve(config: ConfigPath) -> None:
    """Start the vault: load the records and answer the courier, until stopped with SIGTERM.

    For example:

      fedsynth site serve --config dayton/site.toml
    """
    # torch and pandas are loaded only here: `--help` and `status` stay fast
    from fedsynth_client.budget.policy_file import PolicyFile
    from fedsynth_client.budget.receipts import load_or_create_key
    from fedsynth_client.settings.site_config import SiteConfig, exposed_files
    from fedsynth_client.vault.core_dumps import forbid_dumps
    from fedsynth_client.vault.memory import memory_needed, prove_memory
    from fedsynth_client.vault.service import Vault
    from fedsynth_client.vault.socket_server import WAITING_BYTES
    from fedsynth_client.vault.socket_server import serve as serve_vault
    from fedsynth_common.cli.logs import log_to_stderr
    from fedsynth_common.privacy.randomness import Randomness
    from fedsynth_common.schema import Schema

    log_to_stderr()
    forbid_dumps()
    site = SiteConfig.load(config)
    policies, schema = PolicyFile(site.policy), Schema.load(site.table_schema)
    if exposed := exposed_files(site, config):
        raise FedsynthError("\n  ".join(["the site's files are not safe:", *exposed]))
    policy = policies.current()
    charges = open_ledger(site, policy.dataset)
    try:
        signing_key = load_or_create_key(site.key)
        randomness = Randomness()
        records = _read(site, schema, policy, randomness, book_of(charges, schema))
        _log.info("encoded records: SHA-256 %s", records.digest)
        vault = Vault(records, schema, policies, charges, randomness, signing_key)
        prove_memory(memory_needed(len(records), WAITING_BYTES))
        typer.echo(f"vault: serving on {site.socket}")
        _log.info("serving data set %s: %s", policy.dataset, _approvals(policy))
        serve_vault(vault, site.socket)
    finally:
        charges.close()


def _approvals(policy: "Policy") -> str:
    """What a steward must know who forgot to approve a plan."""
    if policy.approved_plans == "any":
        return "every plan within the policy's limits is allowed"
    if not policy.approved_plans:
        return "no plan is approved yet; all are refused until: fedsynth site approve PLAN"
    return f"{len(policy.approved_plans)} plans are approved"


def _read(
    site: "SiteConfig",
    schema: "Schema",
    policy: "Policy",
    randomness: "Randomness",
    book: "SealBook",
) -> "Records":
    """The records, checked and encoded; what the checks remembered of them is dropped."""
    from fedsynth_client.preflight.preflight import Inspection
    from fedsynth_client.records.guarded_reading import site_source

    inspection = Inspection(
        schema,
        policy,
        site.waived,
        max_repaired=site.max_repaired,
        scratch=site.ledger.parent,
        keep=True,
        book=book,
    )
    inspection.read(site_source(site))
    inspection.result().require_fit()
    records = inspection.records.finish(randomness)
    records.sort_persons()
    return records


def book_of(charges: "Ledger", schema: "Schema") -> "SealBook":
    """The seals of a ledger, with the key of their digests, where the schema has cohorts."""
    from fedsynth_client.budget.cohort_seals import SealBook

    if schema.cohorts is None:
        return SealBook()
    return SealBook(charges.cohort_key(), charges.seals().seals)


def open_ledger(site: "SiteConfig", dataset: str) -> "Ledger":
    """The site's ledger, for this process alone.

    Raises:
        FedsynthError: it cannot be used.
    """
    from fedsynth_client.budget.ledger import Ledger

    try:
        return Ledger(site.ledger, dataset, witness=site.witness)
    except RefusalError as refused:
        if refused.code != ErrorCode.LEDGER:
            raise
        why = _why_refused(site, dataset)
        raise FedsynthError(
            f"ledger {site.ledger}: {refused.code}: {why}. See RUNBOOK.md, 'The ledger does not open'"
        ) from None


def _why_refused(site: "SiteConfig", dataset: str) -> str:
    """Why the ledger did not open, in the words of `fedsynth site status` where it has some."""
    from fedsynth_client.budget.ledger_guards import in_use
    from fedsynth_client.budget.spending import read_ledger

    return (
        IN_USE
        if in_use(site.ledger)
        else read_ledger(site.ledger, dataset, site.witness).fault or NOT_WRITABLE
    )
