"""When certificates end, told a month before. A certificate that ended stops every courier."""

import datetime
from pathlib import Path

from cryptography import x509

from fedsynth_common.errors import InputError

WARNED_DAYS = 30
"""Days before its end from which a certificate is spoken of."""


def certificates_in(path: Path) -> list[x509.Certificate]:
    """All certificates of a PEM file, in their order.

    Raises:
        InputError: it cannot be read, or holds none.
    """
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise InputError(f"certificate {path}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise InputError(f"certificate {path}: expected certificates in PEM") from None


def expiry_notes(
    path: Path, remedy: str, now: datetime.datetime | None = None, warned: int = WARNED_DAYS
) -> tuple[str, ...]:
    """A line for each certificate of the file that ended or ends soon, with what to do.

    A file that is missing or no certificate gives none: whoever needs it says so.

    Args:
        path: a PEM file.
        remedy: what a person is to type or ask for.
        now: the present moment.
        warned: days.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    try:
        ends = [one.not_valid_after_utc for one in certificates_in(path)]
    except InputError:
        return ()
    return tuple(
        f"certificate {path}: {when_in_words(end, now)}: {remedy}"
        for end in ends
        if end - now < datetime.timedelta(days=warned)
    )


def when_in_words(end: datetime.datetime, now: datetime.datetime) -> str:
    """When a certificate ends or ended.

    >>> end = datetime.datetime(2030, 1, 31, tzinfo=datetime.UTC)
    >>> when_in_words(end, datetime.datetime(2030, 1, 11, tzinfo=datetime.UTC))
    'ends on 2030-01-31, in 20 days'
    """
    if end <= now:
        return f"ended on {end:%Y-%m-%d}"
    return f"ends on {end:%Y-%m-%d}, in {(end - now).days} days"
