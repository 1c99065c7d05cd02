"""`fedsynth site serve`: the vault. Refuses to start on whatever `fedsynth site check` refuses."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedsynth_client.cli.options import LedgerPath, OptionalConfigPath, PolicyPath, chosen_config
from fedsynth_common.errors import ErrorCode, FedsynthError, InputError, RefusalError

if TYPE_CHECKING:
    from fedsynth_client.budget.ledger import Ledger
    from fedsynth_client.settings.site_config import SiteConfig

_log = logging.getLogger("fedsynth.vault")
LEDGER_REFUSED = (
    "in use by another vault, missing although its witness exists, rolled back, damaged, of another "
    "data set or an older version, or not writable; see `fedsynth site status`"
)


def serve(
    config: OptionalConfigPath = None,
    data: Annotated[Path | None, typer.Option(help="Table: .csv, .csv.gz or .parquet.")] = None,
    schema: Annotated[Path | None, typer.Option(help="The public schema (JSON).")] = None,
    policy: PolicyPath = None,
    ledger: LedgerPath = None,
    socket: Annotated[Path | None, typer.Option(help="Unix socket for the courier.")] = None,
    key: Annotated[
        Path | None, typer.Option(help="Key that signs receipts; default: LEDGER.key.")
    ] = None,
    waive: Annotated[
        list[str] | None,
        typer.Option(help="Without --config: a column that is no identifier; repeatable."),
    ] = None,
) -> None:
    """Load the records and answer the courier until stopped (SIGTERM).

    For example:

      fedsynth site serve --config dayton/site.toml
    """
    places = {"data": data, "schema": schema, "policy": policy, "ledger": ledger, "socket": socket}
    site = chosen_config(config, places)
    if site is None:
        from fedsynth_client.settings.site_config import SiteConfig

        if key is None and ledger is not None:
            key = ledger.with_name(ledger.name + ".key")
        waived = tuple(waive or ())
        site = SiteConfig.model_validate({**places, "key": key, "waived": waived})
    elif key is not None or waive:
        raise InputError("--key and --waive stand in the configuration; give them there")
    _serve(site, config)


def _serve(site: "SiteConfig", source: Path | None) -> None:
    # torch and pandas are loaded only here: `--help` and `ledger` stay fast
    from fedsynth_client.budget.policy import Policy
    from fedsynth_client.budget.receipts import load_or_create_key
    from fedsynth_client.preflight.preflight import Inspection
    from fedsynth_client.records.guarded_reading import site_source
    from fedsynth_client.settings.site_config import exposed_files
    from fedsynth_client.vault.core_dumps import forbid_dumps
    from fedsynth_client.vault.service import Vault
    from fedsynth_client.vault.socket_server import serve as serve_vault
    from fedsynth_common.privacy.randomness import Randomness
    from fedsynth_common.schema import Schema

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    forbid_dumps()
    policy, schema = Policy.load(site.policy), Schema.load(site.table_schema)
    if source is not None and (exposed := exposed_files(site, source)):
        raise FedsynthError("\n  ".join(["the site's files are not safe:", *exposed]))
    charges = _open_ledger(site, policy.dataset)
    try:
        signing_key = load_or_create_key(site.key)
        randomness = Randomness()
        inspection = Inspection(
            schema,
            policy,
            site.waived,
            max_repaired=site.max_repaired,
            scratch=site.ledger.parent,
            keep=True,
        )
        inspection.read(site_source(site))
        inspection.result().require_fit()
        records = inspection.records.finish(randomness)
        _log.info("encoded records: SHA-256 %s", records.digest)
        vault = Vault(records, schema, policy, charges, randomness, signing_key)
        typer.echo(f"vault: serving on {site.socket}")
        serve_vault(vault, site.socket)
    finally:
        charges.close()


def _open_ledger(site: "SiteConfig", dataset: str) -> "Ledger":
    from fedsynth_client.budget.ledger import Ledger

    try:
        return Ledger(site.ledger, dataset, witness=site.witness)
    except RefusalError as refused:
        if refused.code != ErrorCode.LEDGER:
            raise
        raise FedsynthError(f"ledger {site.ledger}: {refused.code}: {LEDGER_REFUSED}") from None
