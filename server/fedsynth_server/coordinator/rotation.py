"""New certificates for a coordinator: that of the server every year, the authority every five.

The authority changes in two stages, so that no site is ever without one that it trusts. First
(`begin_authority`) the sites are told to trust the old and the next one; once all have done so, the next
one signs the server certificate (`finish_authority`), and the sites are told to trust it alone. Sites
learn of both by a notice, which is signed with the key of the invitations.

| file, between the stages | is |
|---|---|
| `certs/next.crt` | the next authority |
| `authority/next.key` | its private key |
"""

import datetime
import socket
import time
from pathlib import Path

from fedsynth_common.certificate_expiry import certificates_in, expiry_notes
from fedsynth_common.durable import write_durably
from fedsynth_common.errors import InputError
from fedsynth_common.protocol.signed_file import Notice, signed
from fedsynth_server.coordinator.certificates import make_authority, sign_server, write_secret
from fedsynth_server.coordinator.folder import CoordinatorFolder

NOTICE = "authority.notice"


def rotate_server(folder: CoordinatorFolder, private: Path | None = None) -> datetime.datetime:
    """Write a new server key and certificate, for the host that coordinator.toml names now.

    Args:
        folder: of the coordinator.
        private: the authority's private key, by default `authority/ca.key`.

    Returns:
        Until when the certificate is valid.

    Raises:
        InputError: the private key is not there, or a file cannot be written.
    """
    _sign(folder, private or folder.authority / "ca.key", folder.ca.read_bytes())
    return certificates_in(folder.certificates / "server.pem")[0].not_valid_after_utc


def begin_authority(folder: CoordinatorFolder) -> Path:
    """Make the next authority; returns the notice for the sites, to trust it beside the old one.

    Raises:
        InputError: it was begun before and is not finished, or a file cannot be written.
    """
    if folder.next_ca.exists():
        raise InputError(
            f"{folder.next_ca}: the next authority was made before. When every site has taken "
            f"{folder.path / NOTICE}: fedsynth coordinator rotate authority {folder.path} --finish"
        )
    private, shown = make_authority()
    try:
        _next_key(folder).unlink(missing_ok=True)  # of an attempt that was cut off
        write_secret(_next_key(folder), private)
        write_durably(folder.next_ca, shown)
    except OSError as error:
        raise InputError(f"{folder.path}: cannot be written ({error.strerror})") from None
    return _notice(folder)


def finish_authority(folder: CoordinatorFolder, private: Path | None = None) -> Path:
    """Let the next authority sign the server certificate; returns the notice to trust it alone.

    Raises:
        InputError: no next authority was made, its key is not there, or the coordinator runs.
    """
    if not folder.next_ca.exists():
        raise InputError(
            f"{folder.next_ca}: no next authority was made; begin with: fedsynth coordinator rotate "
            f"authority {folder.path}"
        )
    if _listens(folder.settings().superlink_port):
        raise InputError(
            "the coordinator runs, and its processes would trust different authorities; stop it, repeat "
            "this command, and start it again"
        )
    place = private or _next_key(folder)
    _sign(folder, place, folder.next_ca.read_bytes())
    try:
        write_durably(folder.ca, folder.next_ca.read_bytes())
        if private is None:
            place.replace(folder.authority / "ca.key")
        folder.next_ca.unlink()
    except OSError as error:
        raise InputError(f"{folder.path}: cannot be written ({error.strerror})") from None
    return _notice(folder)


def certificate_notes(folder: CoordinatorFolder) -> list[str]:
    """A line for each certificate of the coordinator that ends soon or has ended, with what to do."""
    server = (
        f"fedsynth coordinator rotate server {folder.path}, then stop and start the coordinator; the "
        "sites do nothing, unless it had ended: then they start their couriers again"
    )
    authority = (
        f"fedsynth coordinator rotate authority {folder.path}, and send the notice to every site"
    )
    return [
        *expiry_notes(folder.certificates / "server.pem", server),
        *expiry_notes(folder.ca, authority),
    ]


def _sign(folder: CoordinatorFolder, private: Path, authority: bytes) -> None:
    host = folder.settings().host
    try:
        sign_server(private.read_bytes(), authority, folder.certificates, [host])
    except FileNotFoundError:
        raise InputError(
            f"{private}: the authority's private key is not here; if you keep it elsewhere, name it "
            "with --authority-key"
        ) from None
    except OSError as error:
        raise InputError(f"{folder.certificates}: cannot be written ({error.strerror})") from None


def _notice(folder: CoordinatorFolder) -> Path:
    content = Notice(written=int(time.time()), authority=folder.authorities())
    path = folder.path / NOTICE
    write_durably(path, signed(content, folder.signing_key()))
    return path


def _next_key(folder: CoordinatorFolder) -> Path:
    return folder.authority / "next.key"


def _listens(port: int) -> bool:
    with socket.socket() as one:
        one.settimeout(1.0)
        return one.connect_ex(("127.0.0.1", port)) == 0
