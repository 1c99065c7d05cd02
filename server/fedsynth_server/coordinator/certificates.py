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
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS, SERVER_DAYS = 1825, 397


def make_certificates(authority: Path, server: Path, hosts: Sequence[str]) -> None:
    """Write `authority/ca.key`, `server/ca.crt`, `server/server.pem` and `server/server.key`.

    Args:
        authority: a folder for the private key of the authority.
        server: a folder for what the SuperLink and the proxy use.
        hosts: names and addresses that sites connect to; localhost is always among them.
    """
    own, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _name("fedsynth authority")
    ca = (
        _certificate(root, root, own.public_key(), AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(own, hashes.SHA256())
    )
    names = [_alternative(host) for host in dict.fromkeys(("localhost", "127.0.0.1", *hosts))]
    shown = (
        _certificate(_name("fedsynth coordinator"), root, key.public_key(), SERVER_DAYS)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .sign(own, hashes.SHA256())
    )
    write_secret(authority / "ca.key", _pem(own))
    write_secret(server / "server.key", _pem(key))
    (server / "ca.crt").write_bytes(ca.public_bytes(Encoding.PEM))
    (server / "server.pem").write_bytes(shown.public_bytes(Encoding.PEM))


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
