"""How a schema is written, a column or rule a line, and how its faults are worded."""

import json
from typing import Any

from fedsynth_common.fault_places import Place
from fedsynth_common.limits import printable
from fedsynth_common.schema.columns import NumberFormat
from fedsynth_common.validated import dotted

# fields of later versions: left out at their defaults, so that older schemas keep their text and hash
_DEFAULTS: dict[str, Any] = {
    "description": "",
    "ordered": False,
    "parents": [],
    "format": None,
    "pattern": None,
    "provider": None,
    "unique": False,
    "only": False,
    "strict": False,
    "missing_marks": [],
    "stored_as": None,
    "zone": None,
    "step": None,
}


def line_of(entry: dict[str, Any]) -> str:
    """One column or rule as JSON, its name first, unused fields left out."""
    kept = {k: v for k, v in entry.items() if not (k in _DEFAULTS and v == _DEFAULTS[k])}
    if isinstance(kept.get("format"), dict):
        usual = NumberFormat().model_dump(mode="json")
        kept["format"] = {k: v for k, v in kept["format"].items() if v != usual[k]}
    kind = "kind" if "kind" in kept else "rule"
    for part in ("when", "then"):
        if kept.get(part, "") is None:  # of a rule that holds in every record
            del kept[part]
        elif part in kept:
            kept[part] = {k: v for k, v in kept[part].items() if not _unused(v)}
    return json.dumps({"name": kept["name"], kind: kept[kind], **kept}, ensure_ascii=False)


def _unused(value: Any) -> bool:
    return value is None or value is False or value == []  # a bound of 0 is used


def fault_line(place: Place, fault: str, text: str) -> str:
    """One fault as `column 'age': minimum: what is wrong`."""
    owner = ""
    if place[:1] in (("columns",), ("rules",)) and len(place) > 1:
        owner, place = _owner(text, str(place[0]), int(place[1])), place[2:]
    if fault.startswith(("column ", "rule ")):
        owner = ""
    return printable(": ".join(part for part in (owner, dotted(place), fault) if part))


def _owner(text: str, part: str, index: int) -> str:
    """The column or rule that a fault is in, by its name, or by its number if it has none."""
    kind = part.removesuffix("s")
    try:
        name = json.loads(text)[part][index]["name"]
    except (KeyError, TypeError, ValueError, RecursionError):
        return f"{kind} number {index + 1}"
    return f"{kind} {name!r}"
