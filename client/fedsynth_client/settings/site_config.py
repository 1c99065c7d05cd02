"""Where everything of a site lies: two TOML files that `fedsynth site init` writes.

`site.toml` is the vault's, `courier.toml` the courier's: the courier runs as a user of its own that
reads neither the records, nor the ledger, nor where they lie.

The vault's configuration holds places and waivers; what may be *spent* stands in the policy alone,
so that the person who moves a file need not be the one who may change the law. Relative places are
meant relative to the configuration's own folder, so the folder can be moved as a whole.

`waived` names the columns that somebody has looked at and exposed to hold no direct identifier,
although they look like it (`identifiers`). There is no other way to silence that finding.
"""

import os
import stat
from pathlib import Path
from typing import Annotated, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field

from fedsynth_common.limits import MAX_REPAIRED
from fedsynth_common.validated import read_settings

LONGEST_SOCKET = 107  # bytes in a unix socket's address, on Linux


Port = Annotated[int, Field(ge=1, le=65535)]


class _Places(BaseModel):
    """A configuration file whose relative places are relative to its own folder."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    what: ClassVar[str]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a configuration; its places become absolute.

        Raises:
            InputError: if the file is missing or unreadable, or naming every faulty field.
        """
        read = read_settings(path, cls, f"{cls.what} {path}")
        folder = path.absolute().parent
        places = {
            name: folder / value.expanduser()
            for name, value in read
            if isinstance(value, Path) and name in cls.model_fields
        }
        return read.model_copy(update=places)


class SiteConfig(_Places):
    """The places of one site.

    `witness` belongs on another volume than the ledger where there is one: [default: LEDGER.witness].
    `data` is a table file, a folder of Parquet parts, or a description of a source (`sources`); columns
    `ignored` are dropped when it is read. `max_repaired` is the share of a column's cells above which
    repairs mean another schema or a damaged export, and the table is refused.
    `courier` is the courier's configuration, for a steward who types one `--config` for all commands.
    """

    what: ClassVar[str] = "configuration"

    data: Path
    table_schema: Path = Field(alias="schema")
    policy: Path
    ledger: Path
    key: Path
    socket: Path
    witness: Path | None = None
    waived: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    max_repaired: float = Field(default=MAX_REPAIRED, ge=0, le=1)
    courier: Path | None = None


class CourierConfig(_Places):
    """How a courier reaches the coordinator and the vault; nothing about records.

    `superlink` is the coordinator's host and port, `root_certificates` the authority that its
    certificate must come from, `node_key` this site's identity there. `home` holds the approved app
    bundle (FLWR_HOME). `proxy` is the HTTP proxy that leads out of the site's network, if there must be
    one: the TLS connection passes it closed (CONNECT); the caller's own proxy variables are not looked
    at. The two ports are on the loopback interface only: SuperNode and SuperExec talk over the first,
    and a monitor may ask for health (gRPC) at the second.
    """

    what: ClassVar[str] = "courier's configuration"

    superlink: str = Field(pattern=r"^(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$")
    root_certificates: Path
    node_key: Path
    home: Path
    socket: Path
    proxy: str | None = Field(default=None, pattern=r"^https?://[^\s/]+:[0-9]{1,5}/?$")
    runtime_port: Port = 9094
    health_port: Port = 9095


def exposed_files(config: SiteConfig, source: Path) -> list[str]:
    """What others on this machine may do to the site's files, and must not.

    A key that others read signs for them; a policy or configuration that others write is no law.
    """
    exposed = []
    if _mode(config.key) & (stat.S_IRWXG | stat.S_IRWXO):
        exposed.append(f"key {config.key}: others may use it; close it with: chmod 600")
    for name, path in (("policy", config.policy), ("configuration", source)):
        if _mode(path) & stat.S_IWOTH:
            exposed.append(f"{name} {path}: everybody may write to it; close it with: chmod o-w")
    if len(os.fsencode(config.socket)) > LONGEST_SOCKET:
        exposed.append(
            f"socket {config.socket}: longer than {LONGEST_SOCKET} bytes; choose another"
        )
    for name, place in (("ledger", config.ledger), ("socket", config.socket)):
        if not place.parent.is_dir():
            exposed.append(f"{name} {place}: its folder does not exist; create it")
    return exposed


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:  # a file that is missing exposes nothing; whoever needs it complains
        return 0
