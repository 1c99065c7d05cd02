"""Check digits of the numbers that name a person, a card or an account.

Card numbers ISO/IEC 7812-1 (Luhn); IBAN ISO 13616 (ISO 7064 mod 97-10); NHS number mod 11 (NHS Data
Dictionary); Dutch BSN (elfproef); German tax id ISO 7064 mod 11,10; French NIR mod 97; Swiss AHV EAN-13;
Italian codice fiscale (DM 23 December 1976); Spanish DNI mod 23.
"""

import re
from collections.abc import Callable

_NOT_DIGIT = re.compile(r"\D")


def is_card_number(text: str) -> bool:
    """Issuer's digit, length and Luhn's check digit.

    >>> is_card_number("4111 1111 1111 1111"), is_card_number("4111 1111 1111 1112")
    (True, False)
    """
    digits = [int(digit) for digit in _NOT_DIGIT.sub("", text)]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    right = (sum(doubled) + sum(digits[-1::-2])) % 10 == 0
    return right and 13 <= len(digits) <= 19 and 2 <= digits[0] <= 6


def is_iban(text: str) -> bool:
    """Length and check digits of an IBAN.

    >>> is_iban("DE89 3704 0044 0532 0130 00"), is_iban("DE88 3704 0044 0532 0130 00")
    (True, False)
    """
    compact = re.sub(r"\s", "", text).upper()
    if not 15 <= len(compact) <= 34:
        return False
    return int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 == 1


def is_dni(text: str) -> bool:
    """A Spanish DNI's check letter.

    >>> is_dni("12345678Z"), is_dni("12345678A")
    (True, False)
    """
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(text[:8]) % 23] == text[-1]


def is_nhs_number(text: str) -> bool:
    """Ten digits whose last is the weighted sum of the others mod 11.

    >>> is_nhs_number("943 476 5919"), is_nhs_number("943 476 5918")
    (True, False)
    """
    digits = _digits(text)
    if len(digits) != 10 or len(set(digits)) == 1:
        return False
    check = -sum(weight * d for weight, d in zip(range(10, 1, -1), digits, strict=False)) % 11
    return check == digits[-1]


def is_bsn(text: str) -> bool:
    """Nine digits of a Dutch burgerservicenummer.

    >>> is_bsn("111222333"), is_bsn("111222334")
    (True, False)
    """
    digits = _digits(text)
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    if len(digits) != 9 or len(set(digits)) == 1:
        return False
    return sum(w * d for w, d in zip(weights, digits, strict=True)) % 11 == 0


def is_german_tax_id(text: str) -> bool:
    """Eleven digits with the check digit of ISO 7064 mod 11,10.

    >>> is_german_tax_id("86095742719"), is_german_tax_id("86095742718")
    (True, False)
    """
    digits = _digits(text)
    if len(digits) != 11 or not digits[0]:
        return False
    product = 10
    for digit in digits[:-1]:
        product = ((product + digit) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == digits[-1]


def is_nir(text: str) -> bool:
    """Fifteen characters of a French social security number, key mod 97 (2A, 2B: Corsica).

    >>> is_nir("1 85 05 78 006 084 91"), is_nir("1 85 05 78 006 084 92")
    (True, False)
    """
    compact = re.sub(r"\s", "", text).upper().replace("2A", "19").replace("2B", "18")
    if not re.fullmatch(r"[1278]\d{14}", compact):
        return False
    return 97 - int(compact[:13]) % 97 == int(compact[13:])


def is_ahv(text: str) -> bool:
    """Thirteen digits of a Swiss AHV number: 756 and an EAN-13 check digit.

    >>> is_ahv("756.9217.0769.85"), is_ahv("756.9217.0769.84")
    (True, False)
    """
    digits = _digits(text)
    if len(digits) != 13 or digits[:3] != [7, 5, 6]:
        return False
    return -sum(d * (3 if k % 2 else 1) for k, d in enumerate(digits[:-1])) % 10 == digits[-1]


_ODD_LETTERS = "1 0 5 7 9 13 15 17 19 21 2 4 18 20 11 3 6 8 12 14 16 10 22 25 24 23"
_ODD = dict(zip("0123456789", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21), strict=True)) | {
    letter: int(value)
    for letter, value in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", _ODD_LETTERS.split(), strict=True)
}


def is_codice_fiscale(text: str) -> bool:
    """The check letter of an Italian codice fiscale.

    >>> is_codice_fiscale("RSSMRA85T10A562S"), is_codice_fiscale("RSSMRA85T10A562T")
    (True, False)
    """
    odd = sum(_ODD[mark] for mark in text[:15:2])
    even = sum(int(mark) if mark.isdigit() else ord(mark) - ord("A") for mark in text[1:15:2])
    return chr(ord("A") + (odd + even) % 26) == text[15]


def _digits(text: str) -> list[int]:
    return [int(digit) for digit in _NOT_DIGIT.sub("", text)]


REGISTERS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("card numbers", is_card_number),
    ("NHS numbers", is_nhs_number),
    ("BSN numbers", is_bsn),
    ("German tax ids", is_german_tax_id),
    ("French social security numbers", is_nir),
    ("Swiss AHV numbers", is_ahv),
)
"""What a column of bare numbers may be, by check digits that chance gives one in ten or so."""
