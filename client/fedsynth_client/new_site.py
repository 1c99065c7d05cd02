"""The files of a new site: configurations, policy, signing key; written once, never over others.

Whatever has no safe default is left for a person: the policy starts with no name for the people in
the table unless one is given (the vault then refuses to start) and with no approved plan. All files
are readable by their owner alone.
"""

import json
import math
import os
from pathlib import Path

from fedsynth_client.budget.receipts import load_or_create_key
from fedsynth_common.errors import InputError
from fedsynth_common.local_ports import free_from

CONFIG, POLICY, KEY = "site.toml", "policy.toml", "site.key"
COURIER = Path("courier", "courier.toml")

_CONFIG = """\
# Places of this site. Relative ones are relative to this file's folder.

# The records and the public schema that all sites share. Records are a .csv, .csv.gz or .parquet file,
# a folder of .parquet parts, or a .toml that describes a database or how a CSV file is written.
data = {data}
schema = {schema}

policy = "policy.toml"       # what may be spent, ever; only this site changes it
ledger = {ledger}         # what was spent; never copy an old one back
key = "site.key"             # signs receipts; nobody else may read it
socket = {socket}       # the courier's; in a folder of their group if it is another user
courier = {courier}  # how the courier reaches the coordinator

# A witness on another volume notices when the ledger's volume is restored from a backup.
# witness = "/another/volume/ledger.witness"

# Columns that `fedsynth site check` takes for direct identifiers and that a person has looked at:
# waived = ["column"]
waived = []

# Columns of the table that the study does not use; they are dropped when the table is read:
# ignored = ["column"]

# Refuse the table if a larger share of a column's cells does not fit the schema:
# max_repaired = 0.2
"""

_COURIER = """\
# How this site's courier reaches the coordinator. Nothing here leads to a record, so that the courier
# can run as a user who may read this folder and no other. Relative places: relative to this folder.

superlink = {superlink}      # REQUIRED. host:port that the coordinator told you; always TLS
root_certificates = "ca.crt"        # the coordinator's authority; compare its fingerprint by telephone
node_key = "node.key"               # this site's identity there, made by `fedsynth site key`
home = "flower"                     # the approved app bundle, put there by `fedsynth site bundle`
socket = {socket}

# The HTTP proxy that leads out of this network, if there must be one (HTTPS_PROXY is not looked at):
# proxy = "http://proxy.example.org:3128"

# Ports on the loopback interface: between the courier's two processes, and for a monitor (gRPC health).
runtime_port = {runtime_port}
health_port = {health_port}
"""

_POLICY = """\
# What this site allows. The vault refuses whatever goes beyond, whoever asks.

# REQUIRED. Names the people in the table, not a file: all studies, for ever, add up under it.
dataset = {dataset}
{site}
max_epsilon = {max_epsilon}             # the cap: everything ever charged to these people
# max_epsilon_per_study = 0.5  # what one study may take of it
max_delta = 1e-5
# In a secure sum the sites make one noise together, which is less for each. What may be spent if all
# other sites and the coordinator work together against this one; without it: no secure sums.
# max_epsilon_alone = 4.0
# What may ever be charged to the records of one cohort, if the schema cuts the table into cohorts.
# Both caps are then held for each cohort by itself; without it no cohort is studied by itself:
# max_epsilon_per_cohort = 0.5
min_records = 100              # with fewer records (or persons) this site does not take part
# min_noise_multiplier = 0.3   # bounds on training, whatever a plan says
# max_sampling_rate = 0.5
# max_steps = 20000

# Digests of the plans that a person here has read; `fedsynth site approve` adds them.
approved_plans = []

# Approved plans of a cohort that may be repeated for later cohorts, each once, without a person;
# `fedsynth site template` adds them:
# templates = [{{plan = "DIGEST", until = "2027Q4"}}]
"""


def write_new_site(
    folder: Path,
    *,
    data: Path | None = None,
    schema: Path | None = None,
    dataset: str = "",
    site: str | None = None,
    max_epsilon: float = 1.0,
    superlink: str = "",
    courier: Path | None = None,
    socket: Path | None = None,
    ledger: Path | None = None,
) -> list[Path]:
    """Write the files of a site and return their paths; an existing key is kept.

    Configuration, policy, key, courier's configuration. `courier` and `socket` are given where the
    courier is another user, who cannot enter `folder`.

    Raises:
        InputError: a cap that is none, a configuration or policy that exists already, or a folder
            that cannot be written.
    """
    if not 0 < max_epsilon < math.inf:
        raise InputError("--max-epsilon: expected a number above 0")
    config, policy, key = folder / CONFIG, folder / POLICY, folder / KEY
    outside = (courier / COURIER.name) if courier else (folder / COURIER)
    for path in (config, policy, outside):
        if path.exists() or path.is_symlink():
            raise InputError(f"{path}: exists, and is not replaced; edit it or choose a new folder")
    places = {
        "data": _quoted(data.absolute() if data else "records.csv"),
        "schema": _quoted(schema.absolute() if schema else "schema.json"),
        "courier": _quoted(courier.absolute() / COURIER.name if courier else COURIER),
        "socket": _quoted(socket.absolute() if socket else "vault.sock"),
        "ledger": _quoted(ledger.absolute() if ledger else "ledger.db"),
    }
    there = {
        "superlink": _quoted(superlink),
        "socket": _quoted(socket.absolute() if socket else "../vault.sock"),
        "runtime_port": (runtime := free_from(9094)),
        "health_port": free_from(runtime + 1),
    }
    named = (
        f"site = {_quoted(site)}" if site else '# site = "name"  # plans must then name this site'
    )
    law = {"dataset": _quoted(dataset), "site": named, "max_epsilon": max_epsilon}
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        outside.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        load_or_create_key(key)
        _write_new(policy, _POLICY.format(**law))
        _write_new(outside, _COURIER.format(**there))
        _write_new(config, _CONFIG.format(**places))
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror})") from None
    return [config, policy, key, outside]


def _write_new(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _quoted(value: Path | str) -> str:
    """A TOML basic string, whose escapes are those of JSON."""
    return json.dumps(str(value), ensure_ascii=False)
