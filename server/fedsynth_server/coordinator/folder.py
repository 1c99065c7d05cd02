"""The folder of a coordinator: everything that its processes need, made once.

| file | is |
|---|---|
| `coordinator.toml` | the address that sites connect to, and the ports on this computer |
| `certs/` | `ca.crt` (goes to the sites with each invitation), `server.pem`, `server.key` |
| `authority/ca.key` | signs the next server certificate (`rotation`); keep it elsewhere |
| `invitation.key` | signs invitations; sites compare its fingerprint by telephone |
| `superexec.secret` | shared by the SuperLink and its SuperExec |
| `state/` | the SuperLink's database: registered sites, runs |
| `nginx.conf` | the proxy, which publishes nothing but the sites' API |
"""

import json
import os
import re
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel, ConfigDict, Field

from fedsynth_common.errors import InputError
from fedsynth_common.validated import read_settings
from fedsynth_server.coordinator.certificates import make_certificates, write_secret

Port = Annotated[int, Field(ge=1, le=65535)]
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
_TEXT = """\
# Where sites reach this coordinator. The certificate holds this host: see RUNBOOK.md to change it.
host = {host}
port = {port}
# On which address of this computer the proxy listens; "127.0.0.1" for trials on one computer:
listen = {listen}

# Ports on the loopback interface. Never publish the first: whoever reaches it may start and stop runs.
superlink_port = {superlink_port}
health_port = {health_port}
"""


class CoordinatorSettings(BaseModel):
    """`coordinator.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    host: str
    port: Port = 8443
    listen: str = "0.0.0.0"  # noqa: S104 - sites connect from other computers
    superlink_port: Port = 8000
    health_port: Port = 8999


class CoordinatorFolder:
    """The places in a coordinator's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.settings_file = self.path / "coordinator.toml"
        self.certificates, self.authority = self.path / "certs", self.path / "authority"
        self.ca, self.next_ca = self.certificates / "ca.crt", self.certificates / "next.crt"
        self.secret = self.path / "superexec.secret"
        self.invitation_key = self.path / "invitation.key"
        self.state = self.path / "state"
        self.database = self.state / "superlink.db"
        self.proxy = self.path / "nginx.conf"

    @classmethod
    def make(cls, path: Path, settings: CoordinatorSettings) -> Self:
        """Write all files of a new coordinator; none that exists is replaced.

        Raises:
            InputError: the host is no name or address, the folder holds a coordinator already, or
                it cannot be written.
        """
        if not _HOST.fullmatch(settings.host):
            raise InputError(f"--host {settings.host}: expected a DNS name or an IPv4 address")
        made = cls(path)
        if made.path.exists() and any(made.path.iterdir()):
            raise InputError(f"{path}: is not empty; choose a new folder")
        try:
            for folder in (made.path, made.certificates, made.authority, made.state):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            make_certificates(made.authority, made.certificates, [settings.host])
            write_secret(made.secret, os.urandom(32))
            write_secret(made.invitation_key, Ed25519PrivateKey.generate().private_bytes_raw())
            fields = {name: json.dumps(value) for name, value in settings.model_dump().items()}
            made.settings_file.write_text(_TEXT.format(**fields), encoding="utf-8")
            made.write_proxy(settings)
        except OSError as error:
            raise InputError(f"{path}: cannot be written ({error.strerror})") from None
        return made

    def settings(self) -> CoordinatorSettings:
        """`coordinator.toml`.

        Raises:
            InputError: missing or unreadable, or naming every faulty field.
        """
        return read_settings(self.settings_file, CoordinatorSettings, str(self.settings_file))

    def authorities(self) -> str:
        """The certificates that sites are to trust: the authority's and, if made, the next one's.

        Raises:
            InputError: a file is missing or unreadable.
        """
        try:
            places = [self.ca, *([self.next_ca] if self.next_ca.exists() else [])]
            return "".join(place.read_text("ascii") for place in places)
        except (OSError, ValueError):
            raise InputError(
                f"{self.ca}: cannot be read; put the authority's certificate back"
            ) from None

    def signing_key(self) -> Ed25519PrivateKey:
        """The key that signs invitations.

        Raises:
            InputError: it is missing or damaged.
        """
        try:
            return Ed25519PrivateKey.from_private_bytes(self.invitation_key.read_bytes())
        except (OSError, ValueError):
            raise InputError(
                f"{self.invitation_key}: no signing key; make a coordinator's folder with: fedsynth "
                "coordinator init"
            ) from None

    def write_proxy(self, settings: CoordinatorSettings) -> None:
        """Write the proxy's configuration, which holds the places of this folder."""
        run = self.path / "proxy"
        run.mkdir(mode=0o700, exist_ok=True)
        text = files("fedsynth_server.coordinator").joinpath("nginx.conf").read_text("utf-8")
        for name, value in (
            ("RUN", str(run)),
            ("CERTS", str(self.certificates)),
            ("LISTEN", _listening(settings)),
            ("SUPERLINK", _superlink(settings)),
        ):
            text = text.replace(f"@{name}@", value)
        self.proxy.write_text(text, encoding="utf-8")

    def check_proxy(self) -> None:
        """Write the proxy's configuration if it is missing; it may have been changed by hand.

        Raises:
            InputError: it names other addresses than `coordinator.toml`.
        """
        settings = self.settings()
        if not self.proxy.exists():
            self.write_proxy(settings)
        text = self.proxy.read_text("utf-8")
        for address in (_listening(settings), _superlink(settings)):
            if not re.search(rf"(?<![\w.]){re.escape(address)}\b", text):
                raise InputError(
                    f"{self.proxy}: does not name {address} of {self.settings_file.name}; correct it, "
                    "or delete it: the next start writes it again"
                )


def _listening(settings: CoordinatorSettings) -> str:
    return f"{settings.listen}:{settings.port}"


def _superlink(settings: CoordinatorSettings) -> str:
    return f"127.0.0.1:{settings.superlink_port}"
