"""Check digits of the numbers that name a person, a card or an account.

The rules of each register are python-stdnum's (LGPL 2.1 or later, used unmodified as a library). Its
modules are imported when the first number is looked at: most commands look at none.
"""

from collections.abc import Callable
from importlib import import_module


def _follows(register: str, text: str, **options: bool) -> bool:
    """Whether the text is a valid number by the module of this name in `stdnum`."""
    return bool(import_module(f"stdnum.{register}").is_valid(text, **options))


def is_card_number(text: str) -> bool:
    """Issuer's digit, length and Luhn's check digit (ISO/IEC 7812-1).

    >>> is_card_number("4111 1111 1111 1111"), is_card_number("4111 1111 1111 1112")
    (True, False)
    """
    digits = "".join(mark for mark in text if mark.isdigit())
    return 13 <= len(digits) <= 19 and digits[0] in "23456" and _follows("luhn", digits)


def is_iban(text: str) -> bool:
    """Country, its form and length, and the check digits of an IBAN (ISO 13616).

    A country's own check digits within the account number are not looked at.

    >>> is_iban("DE89 3704 0044 0532 0130 00"), is_iban("DE88 3704 0044 0532 0130 00")
    (True, False)
    """
    return _follows("iban", text, check_country=False)


def is_dni(text: str) -> bool:
    """A Spanish DNI with its check letter.

    >>> is_dni("12345678Z"), is_dni("12345678A")
    (True, False)
    """
    return _follows("es.dni", text)


def is_nhs_number(text: str) -> bool:
    """Ten digits of a British NHS number; ten equal digits are a placeholder for none.

    >>> is_nhs_number("943 476 5919"), is_nhs_number("943 476 5918"), is_nhs_number("9999999999")
    (True, False, False)
    """
    return len(set(text) - {" ", "-"}) > 1 and _follows("gb.nhs", text)


def is_bsn(text: str) -> bool:
    """Nine digits of a Dutch burgerservicenummer.

    >>> is_bsn("111222333"), is_bsn("111222334")
    (True, False)
    """
    return _follows("nl.bsn", text)


def is_german_tax_id(text: str) -> bool:
    """Eleven digits, one of which stands two or three times among the first ten, and a check digit.

    >>> is_german_tax_id("86095742719"), is_german_tax_id("86095742718")
    (True, False)
    """
    return _follows("de.idnr", text)


def is_nir(text: str) -> bool:
    """Fifteen characters of a French social security number (departments 2A and 2B: Corsica).

    >>> is_nir("1 85 05 78 006 084 91"), is_nir("1 85 05 78 006 084 92")
    (True, False)
    """
    return text[:1] in tuple("1278") and _follows("fr.nir", text)


def is_ahv(text: str) -> bool:
    """Thirteen digits of a Swiss AHV number.

    >>> is_ahv("756.9217.0769.85"), is_ahv("756.9217.0769.84")
    (True, False)
    """
    return _follows("ch.ssn", text)


def is_codice_fiscale(text: str) -> bool:
    """An Italian codice fiscale: its form, the date of birth in it, and its check letter.

    >>> is_codice_fiscale("RSSMRA85T10A562S"), is_codice_fiscale("RSSMRA85T10A562T")
    (True, False)
    """
    return _follows("it.codicefiscale", text)


REGISTERS: tuple[tuple[str, range, Callable[[str], bool]], ...] = (
    ("card numbers", range(13, 20), is_card_number),
    ("NHS numbers", range(10, 11), is_nhs_number),
    ("BSN numbers", range(9, 10), is_bsn),
    ("German tax ids", range(11, 12), is_german_tax_id),
    ("French social security numbers", range(15, 16), is_nir),
    ("Swiss AHV numbers", range(13, 14), is_ahv),
)
"""Registers with numbers of digits alone, and their lengths; at most one random number in ten fits."""
