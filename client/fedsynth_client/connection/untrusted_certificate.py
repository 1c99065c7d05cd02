"""Tells whether the coordinator's certificate is not trusted, so that the courier stops.

If the coordinator is away, it will come back. After a refused connection, a time-out or a handshake
that broke off the courier therefore tries again without end. A certificate that has expired, or is of
another authority or another host, stays so until a person acts. It may be a sign that somebody reads
the connection, and a courier that went on trying would hide this sign in a log. Flower does not
separate the two cases: Flower 1.41 gives up on every error with "ssl", "tls" or
"certificate" in its text, always with exit code 1. What tells them apart is the exception underneath:
`ssl.SSLCertVerificationError` is OpenSSL's verdict on the certificate itself and nothing else.

SuperNode runs in a process of its own (`supernode`). Its exit code carries the verdict to
`flower_processes`.
"""

import ssl
from collections.abc import Iterator
from enum import IntEnum

from fedsynth_common.errors import FedsynthError


class CertificateFault(IntEnum):
    """What is wrong with the certificate; as a number, the exit code of `supernode`."""

    AUTHORITY = 80
    EXPIRED = 81
    NOT_YET_VALID = 82
    HOST = 83


_VERDICTS = {  # X509_V_ERR_... of OpenSSL's x509_vfy.h; whatever else it finds is about the chain
    10: CertificateFault.EXPIRED,
    9: CertificateFault.NOT_YET_VALID,
    62: CertificateFault.HOST,
    64: CertificateFault.HOST,
}
_REASONS = {
    CertificateFault.AUTHORITY: "is not signed by the authority in {authority}; compare ca.crt's "
    "fingerprint by telephone: if it is the coordinator's, somebody stands in between",
    CertificateFault.EXPIRED: "has expired; the coordinator must renew it (or this computer's clock "
    "is wrong)",
    CertificateFault.NOT_YET_VALID: "is not valid yet; set this computer's clock, or ask the "
    "coordinator",
    CertificateFault.HOST: "is another host's; correct superlink in courier.toml, or ask the "
    "coordinator",
}


class UntrustedError(FedsynthError):
    """The certificate at the coordinator's address is not trusted, until a person has acted."""

    exit_code = 3

    def __init__(self, superlink: str, authority: str, why: CertificateFault) -> None:
        reason = _REASONS[why].format(authority=authority)
        super().__init__(f"courier stopped: the certificate of {superlink} {reason}")


def certificate_fault(error: BaseException | None) -> CertificateFault | None:
    """The verdict on the certificate that caused `error`; None if another cause did."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _VERDICTS.get(cause.verify_code, CertificateFault.AUTHORITY)
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__
