"""Certificates for tests, and somebody who shows one at a port of this computer."""

import datetime
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID


def certificate(folder: Path, begins: int = -30, ends: int = 30, host: str = "127.0.0.1") -> Path:
    """A self-signed certificate (`cert.pem`, which is its own authority) and `cert.key`.

    `begins` and `ends` are in days from now.
    """
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "coordinator")])
    address = x509.IPAddress(ipaddress.ip_address(host))
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + datetime.timedelta(days=begins))
        .not_valid_after(now + datetime.timedelta(days=ends))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(Encoding.PEM))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "cert.key").write_bytes(private)
    return folder / "cert.pem"


@contextmanager
def shown(certificate: Path | None) -> Iterator[int]:
    """A port where handshakes are answered with a certificate; with None, broken off."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if certificate:
        context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(
            target=_answer, args=(server, certificate and context), daemon=True
        ).start()
        yield server.getsockname()[1]


def _answer(server: socket.socket, context: ssl.SSLContext | None) -> None:
    while True:
        try:
            caller, _ = server.accept()
        except OSError:  # the test is over
            return
        with caller:
            try:
                if context:
                    context.wrap_socket(caller, server_side=True).recv(1)
                else:
                    caller.recv(1)
            except OSError:
                continue
