"""What direct identifiers look like: one pattern each, with its check digits where it has any.

The list follows the eighteen identifiers of HIPAA's Safe Harbor, 45 CFR 164.514(b)(2)(i), as far as
text shows them, with the European forms of each. A text that fits a pattern looks like an identifier
and need not be one. A text that fits none may still be one, because names and addresses have no fixed
form. Every pattern takes time in proportion to the length of the text. A cell of megabytes is a mistake
in an export, and `check` must report it and not hang.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from fedsynth_common.identifiers.check_digits import (
    is_ahv,
    is_card_number,
    is_codice_fiscale,
    is_dni,
    is_german_tax_id,
    is_iban,
    is_nhs_number,
    is_nir,
)

HAS_DIGITS = re.compile(r"@|://|(?:\d\D{0,3}){6}|[0-9a-fA-F]{8}-|(?:[0-9A-Fa-f]{1,4}:){4}")
"""Every text that fits one of `PATTERNS` fits this one too; most texts do not."""

_NOT_DIGIT = re.compile(r"\D")
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}.*|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}.*")
_RANGE = re.compile(r"[\d.]+ ?- ?[\d.]+")


@dataclass(frozen=True)
class Pattern:
    """A kind of identifier; `valid` checks what `expression` found.

    The kind is reported if more than `share` of a column's distinct texts hold it. Forms without check
    digits also occur by chance, so their share is above 0.
    """

    kind: str
    expression: re.Pattern[str]
    share: float = 0.0
    valid: Callable[[str], bool] = bool

    def matches(self, text: str) -> bool:
        """Whether the text holds such an identifier."""
        return any(self.valid(found.group()) for found in self.expression.finditer(text))


def is_phone_number(text: str) -> bool:
    """Eight to fifteen digits, written like a telephone number, not like a date, range or amount.

    >>> [is_phone_number(t) for t in ("+31 6 1234 5678", "(555) 123-4567", "020 7946 0958")]
    [True, True, True]
    >>> [is_phone_number(t) for t in ("2016-05-01 10:30", "25000-49999", "0.12345678", "12345678")]
    [False, False, False, False]
    """
    digits = _NOT_DIGIT.sub("", text)
    if not 8 <= len(digits) <= 15 or _DATE.fullmatch(text) or _RANGE.fullmatch(text):
        return False
    separated = len(re.findall(r"\d[ ()./-]+(?=\d)", text)) >= 2
    return separated or (text.startswith(("+", "(", "0")) and not text.startswith("0."))


PATTERNS = (
    # A match begins only where a word begins. If every letter were tried, a long word would take time
    # proportional to its length squared.
    Pattern("e-mail addresses", re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)+")),
    Pattern("web addresses", re.compile(r"\w://\S")),
    Pattern("IBANs", re.compile(r"\b[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{2,4}){3,8}\b"), valid=is_iban),
    Pattern(
        "card numbers", re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?!\d)"), valid=is_card_number
    ),
    Pattern(
        "phone numbers",
        re.compile(r"(?<![\w.])\+[1-9](?:[ ()./-]{0,3}\d){7,14}(?!\w)"),
        valid=is_phone_number,
    ),
    Pattern(
        "phone numbers", re.compile(r"^[(\d][\d ()./-]{6,22}\d$"), share=0.05, valid=is_phone_number
    ),
    Pattern(
        "network addresses", re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])"), share=0.05
    ),
    Pattern(
        "network addresses", re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{1,4}:){4,7}[0-9A-Fa-f]{1,4}\b")
    ),
    Pattern("UUIDs", re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b")),
    Pattern("national ids", re.compile(r"\b756\.\d{4}\.\d{4}\.\d{2}\b"), valid=is_ahv),
    Pattern(
        "national ids",
        re.compile(r"(?<!\d)[1278](?: ?\d\d){2}(?: ?\d[\dABab])(?: ?\d{3}){2} ?\d\d(?!\d)"),
        valid=is_nir,
    ),
    Pattern(
        "national ids",
        re.compile(r"(?<![\d-])\d{3} ?\d{3} ?\d{4}(?![\d-])"),
        share=0.3,
        valid=is_nhs_number,
    ),
    Pattern(
        "national ids",
        re.compile(r"(?<![\d-])\d{2} ?\d{3} ?\d{3} ?\d{3}(?![\d-])"),
        share=0.05,  # 0.4 % of all numbers of eleven digits
        valid=is_german_tax_id,
    ),
    # United States, Nordic countries, United Kingdom, Italy
    Pattern("national ids", re.compile(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])"), share=0.05),
    Pattern("national ids", re.compile(r"(?<![\d-])(?:\d{2})?\d{6}[-+]\d{4}(?![\d-])"), share=0.05),
    Pattern("national ids", re.compile(r"\b[A-CEGHJ-PR-TW-Z]{2} ?(?:\d{2} ?){3}[A-D]\b"), 0.05),
    Pattern(
        "national ids",
        re.compile(r"\b[A-Z]{6}\d{2}[A-Z]\d{2}[A-Z]\d{3}[A-Z]\b"),
        valid=is_codice_fiscale,
    ),
    Pattern("national ids", re.compile(r"\b\d{8}[A-Z]\b"), valid=is_dni, share=0.05),
    # digits alone, as in most other countries; also record and account numbers
    Pattern("national ids", re.compile(r"^\d{9,14}$"), share=0.5),
)
