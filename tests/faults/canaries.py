"""Strings that exist nowhere but in one cell, planted in every column on every way that a cell can fail.

Afterwards they are searched for, as they are, in other encodings, and compressed as well as plain.
"""

import base64
import gzip
import re
import zlib

MARK = "ZZCANARY"
UNLIKELY = ("8317746021", "-7719940358", "6021.831774")
"""Numbers out of any bounds, long enough not to occur by chance."""


def canary(column, kind, number=0):
    return f"{MARK}-{column}-{kind}-{number}"


def table_with_canaries(frame):
    """A few cells of each column that can be repaired are spoiled: the site still serves.

    `age` cannot be missing, so its canaries are numbers out of bounds; `outcome` allows nothing else.
    """
    made = frame.copy()
    rows = iter(range(3, len(made), 17))
    for number in UNLIKELY[:2]:
        made.loc[next(rows), "age"] = number
    for k in range(4):
        made.loc[next(rows), "ward"] = canary("ward", "unknown", k)
    return made


def broken_tables(frame):
    """Tables that must be refused, each with canaries where it is broken, by a name."""
    columns = list(frame.columns)

    def spoiled(column, value):
        made = frame.copy()
        made.loc[made.index[5], column] = value
        return made.to_csv(index=False).encode()

    text = frame.to_csv(index=False)
    lines = text.splitlines()
    yield "unreadable number", spoiled("age", canary("age", "unreadable"))
    yield "decimal comma", spoiled("age", f"6021,831774 {MARK}")
    yield "unknown category", spoiled("outcome", canary("outcome", "unknown"))
    yield "unknown boolean", spoiled("smoker", canary("smoker", "unknown"))
    yield "missing where none may be", spoiled("age", None).replace(b",a,", f",{MARK}-a,".encode())
    ragged = [*lines[:9], f"{lines[9]},{canary('more', 'ragged')}", *lines[10:]]
    yield "ragged row", "\n".join(ragged).encode()
    quote = [*lines[:9], f'"{canary("quote", "open")}', *lines[9:]]
    yield "open quote", "\n".join(quote).encode()
    yield "no heading row", "\n".join([f"{MARK}-1,{MARK}-2,{MARK}-3,{MARK}-4", *lines[1:]]).encode()
    double = text.replace(",".join(columns), f"{columns[0]},{MARK}-double,{MARK}-double,outcome", 1)
    yield "two columns of one name", double.encode()
    yield (
        "missing column",
        frame.drop(columns="ward").assign(extra=MARK).to_csv(index=False).encode(),
    )
    yield "latin-1", text.replace("home", "h\xf6me" + MARK, 1).encode("latin-1")
    yield "utf-16", text.replace("home", MARK, 1).encode("utf-16")
    yield "nul byte", text.replace("home", f"\0{MARK}", 1).encode()
    addresses = [f"{MARK.lower()}.{k}@x.org" for k in range(len(frame))]
    yield "an identifier", frame.assign(ward=addresses).to_csv(index=False).encode()


FORMS = [
    form
    for word in (MARK, MARK.lower(), *UNLIKELY[:2])
    for form in (
        word.encode(),
        word.encode("utf-16-le"),
        word.encode("utf-16-be"),
        base64.b64encode(word.encode() + b"-")[:10],
        word.encode().hex().encode(),
    )
]
_FORMS = re.compile(b"|".join(re.escape(form) for form in FORMS))


def found_in(data):
    """The first canary in some bytes or in what they hold compressed, or None."""
    if hit := _FORMS.search(data):
        return hit.group()
    for magic, unpack in ((b"\x1f\x8b\x08", gzip.decompress), (b"\x78\x9c", zlib.decompress)):
        place = data.find(magic)
        while place >= 0:
            try:
                inner = unpack(data[place:])
            except (OSError, EOFError, zlib.error):
                inner = b""
            if hit := _FORMS.search(inner):
                return hit.group()
            place = data.find(magic, place + 1)
    return None
