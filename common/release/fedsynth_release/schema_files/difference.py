"""Lists what differs between two schemas, for a reviewer to read and for a script to count.

Columns and rules are matched by name, so that a moved column is one difference and not two hundred.
Everything that belongs to the identity of a schema is compared, including descriptions.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedsynth_common.schema.schema import Schema


@dataclass(frozen=True)
class Difference:
    """One finding: where, and the two values (None: not there)."""

    place: str
    before: Any
    after: Any

    def __str__(self) -> str:
        if self.before is None:
            return f"{self.place}: only in the second: {_short(self.after)}"
        if self.after is None:
            return f"{self.place}: only in the first: {_short(self.before)}"
        return f"{self.place}: {_short(self.before)} -> {_short(self.after)}"


def differences(first: Schema, second: Schema) -> list[Difference]:
    """All differences, in the order of the schemas; empty where they are equal."""
    one, two = first.model_dump(mode="json"), second.model_dump(mode="json")
    apart = ("columns", "rules", "histories")
    whole = ({k: v for k, v in fields.items() if k not in apart} for fields in (one, two))
    listed = _fields("", *whole)
    if "histories" in one and "histories" in two:
        listed += _fields("histories: ", one["histories"], two["histories"])
    elif "histories" in one or "histories" in two:
        listed.append(Difference("histories", one.get("histories"), two.get("histories")))
    for part in ("columns", "rules"):
        what = part.removesuffix("s")
        here = {entry["name"]: entry for entry in one[part]}
        there = {entry["name"]: entry for entry in two[part]}
        for name, entry in here.items():
            label = f"{what} {name!r}"
            if name not in there:
                listed.append(Difference(label, entry, None))
            else:
                listed += _fields(f"{label}: ", entry, there[name])
        listed += [
            Difference(f"{what} {name!r}", None, entry)
            for name, entry in there.items()
            if name not in here
        ]
        common = [name for name in here if name in there]
        moved = [name for name in there if name in here]
        if common != moved:
            listed.append(Difference(f"order of {part}", common, moved))
    return listed


def _fields(prefix: str, one: Mapping[str, Any], two: Mapping[str, Any]) -> list[Difference]:
    names = [*one, *(name for name in two if name not in one)]
    return [
        Difference(prefix + name, one.get(name), two.get(name))
        for name in names
        if one.get(name) != two.get(name)
    ]


def _short(value: Any, most: int = 60) -> str:
    if isinstance(value, dict) and "name" in value:
        return str(value.get("kind") or value.get("rule"))
    text = repr(value)
    return text if len(text) <= most else text[: most - 3] + "..."
