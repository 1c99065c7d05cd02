"""What a merge of drafts tells the person who asked for it: conflicts, and what to look at."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing to decide (`conflict`) or to look at (`review`), with what to do about it."""

    weight: Literal["conflict", "review"]
    place: str
    text: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}; {self.remedy}"


@dataclass
class Findings:
    """The findings of a merge, in the order in which they came up."""

    listed: list[Finding] = field(default_factory=list)

    def conflict(self, place: str, text: str, remedy: str) -> None:
        """Note what the drafts contradict each other in; nothing is written until it is decided."""
        self.listed.append(Finding("conflict", place, text, remedy))

    def review(self, place: str, text: str, remedy: str) -> None:
        """Note what the merge decided, for a person to look at."""
        self.listed.append(Finding("review", place, text, remedy))

    def of(self, weight: Literal["conflict", "review"]) -> list[Finding]:
        """The findings of one sort."""
        return [finding for finding in self.listed if finding.weight == weight]


def some(texts: Iterable[str], most: int = 8) -> str:
    """The first few of a list of texts, in quotation marks, and how many more there are."""
    quoted = [repr(text) for text in texts]
    more = f" and {len(quoted) - most:,} more" if len(quoted) > most else ""
    return ", ".join(quoted[:most]) + more
