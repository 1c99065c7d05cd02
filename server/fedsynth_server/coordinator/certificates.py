"""A private authority, and the certificate that it signs for the coordinator's address.

For a federation that has no authority of its own. Sites trust `ca.crt` and nothing else, so the
authority is worth as much as the secrecy of `ca.key`: keep it off the coordinator's computer.
"""

import datetime
import ipaddress
import os
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fedsynth_common.durable import write_durably
from fedsynth_common.errors import InputError

AUTHORITY_DAYS, SERVER_DAYS = 1825, 397


def make_certificates(authority: Path, server: Path, hosts: Sequence[str]) -> None:
    """Write `authority/ca.key`, `server/ca.crt`, `server/server.pem` and `server/server.key`.

    Args:
        authority: a folder for the private key of the authority.
        server: a folder for what the SuperLink and the proxy use.
        hosts: names and addresses that sites connect to; localhost is always among them.
    """
    private, shown = make_authority()
    write_secret(authority / "ca.key", private)
    (server / "ca.crt").write_bytes(shown)
    sign_server(private, shown, server, hosts)


def make_authority() -> tuple[bytes, bytes]:
    """A new authority: its private key and its certificate, in PEM.

    Every authority has a name of its own, so that a site can trust two of them for a while.
    """
    own = ec.generate_private_key(ec.SECP256R1())
    root = _name(f"fedsynth authority {os.urandom(4).hex()}")
    shown = (
        _certificate(root, root, own.public_key(), AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
        .sign(own, hashes.SHA256())
    )
    return _pem(own), shown.public_bytes(Encoding.PEM)


def sign_server(private: bytes, authority: bytes, server: Path, hosts: Sequence[str]) -> None:
    """Write a new `server/server.key` and the certificate `server/server.pem` of it.

    Args:
        private: the authority's private key in PEM.
        authority: its certificate in PEM.
        server: as in `make_certificates`.
        hosts: as there.

    Raises:
        InputError: the private key is not this authority's.
        OSError: a file cannot be written.
    """
    ca, own = x509.load_pem_x509_certificate(authority), _private_key(private)
    if own.public_key() != ca.public_key():
        raise InputError("the authority's private key does not fit its certificate ca.crt")
    key = ec.generate_private_key(ec.SECP256R1())
    names = [_alternative(host) for host in dict.fromkeys(("localhost", "127.0.0.1", *hosts))]
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(own.public_key())
    shown = (
        _certificate(_name("fedsynth coordinator"), ca.subject, key.public_key(), SERVER_DAYS)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(issuer, critical=False)
        .sign(own, hashes.SHA256())
    )
    write_durably(server / "server.key", _pem(key), 0o600)
    write_durably(server / "server.pem", shown.public_bytes(Encoding.PEM))


def _private_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InputError("the authority's private key: expected an EC key in PEM, not encrypted")
    return key


def write_secret(path: Path, data: bytes) -> None:
    """Write a new file that its owner alone may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))  # clocks of sites may be a little late
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
