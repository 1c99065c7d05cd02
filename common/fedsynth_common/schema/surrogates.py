r"""What stands in for ids and free text: made up when records are drawn, never learned from any.

An id names somebody and free text describes somebody, so neither is modelled. A column may declare
how to fill its place: a `pattern`, or a `provider`. Both are functions of the declaration and of
chance alone: the site's cells are not read at all.

A pattern is a small, safe part of regular expressions: literal characters (`\` before a special
one), classes such as `[A-Z0-9_]` without negation, and `{n}` after either. No choice, no open
repetition: every text has the same length, so the number of texts is known and so is whether they
can be unique.

>>> Pattern.parse("H-[0-9]{3}[AB]").texts
2000
"""

from dataclasses import dataclass
from math import prod
from typing import Literal, Self

Provider = Literal["sequence", "uuid", "name", "phone", "email", "empty"]
MAX_LENGTH = 200
_SPECIAL = set("\\[]{}()*+?|^$.")


@dataclass(frozen=True)
class Pattern:
    """One string of possible characters per place of the text."""

    places: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a pattern.

        Raises:
            ValueError: not of this part of regular expressions, empty, or too long.
        """
        places: list[str] = []
        at = 0
        while at < len(text):
            one, at = _class(text, at + 1) if text[at] == "[" else _literal(text, at)
            count, at = _count(text, at) if text[at : at + 1] == "{" else (1, at)
            places += [one] * count
            if len(places) > MAX_LENGTH:
                raise ValueError(f"pattern {text!r}: longer than {MAX_LENGTH} characters")
        if not places:
            raise ValueError("pattern: must not be empty")
        return cls(tuple(places))

    @property
    def texts(self) -> int:
        """How many different texts there are."""
        return prod(len(place) for place in self.places)


def _fault(text: str, at: int, expected: str) -> ValueError:
    return ValueError(f"pattern {text!r}: character {at + 1}: expected {expected}")


def _literal(text: str, at: int) -> tuple[str, int]:
    if text[at] == "\\" and text[at + 1 : at + 2] in _SPECIAL:
        return text[at + 1], at + 2
    if text[at] in _SPECIAL:
        raise _fault(
            text, at, "a literal, a class [...] or {n}; write \\ before special characters"
        )
    return text[at], at + 1


def _class(text: str, at: int) -> tuple[str, int]:
    end = text.find("]", at)
    body = text[at:end]
    if end < 0 or not body or body[0] == "^" or "\\" in body or "[" in body:
        raise _fault(text, at, "a class such as [A-Z0-9], without ^ or \\")
    members: set[str] = set()
    place = 0
    while place < len(body):
        if body[place + 1 : place + 2] == "-" and place + 2 < len(body):
            first, last = ord(body[place]), ord(body[place + 2])
            if not first <= last < first + 1000:
                raise _fault(text, at + place, "a range from a lower to a higher character")
            members |= {chr(code) for code in range(first, last + 1)}
            place += 3
        else:
            members.add(body[place])
            place += 1
    return "".join(sorted(members)), end + 1


def _count(text: str, at: int) -> tuple[int, int]:
    end = text.find("}", at)
    digits = text[at + 1 : end]
    if (
        end < 0
        or not digits.isascii()
        or not digits.isdigit()
        or not 1 <= int(digits) <= MAX_LENGTH
    ):
        raise _fault(text, at, f"a number from 1 to {MAX_LENGTH} in braces")
    return int(digits), end + 1
