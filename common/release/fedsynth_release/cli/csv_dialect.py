"""Finds out how a CSV file is written from its heading, for commands that a person runs at a terminal.

A site declares the delimiter and the encoding of its file, because what a site reads must not depend on
a guess. A person who drafts a schema or simulates a study may leave both open. Only the marks at the
beginning of the file and its heading row are looked at.
"""

import codecs
import gzip
from pathlib import Path
from typing import get_args

from fedsynth_common.errors import InputError
from fedsynth_common.tables.csv_stream import DELIMITER_NAMES, Delimiter, Dialect, Encoding
from fedsynth_common.tables.files import open_regular, suffix_of

_PEEKED = 1 << 16
_WORDS: dict[str, Delimiter] = {
    "tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "bar": "|", "pipe": "|",
}  # fmt: skip


def dialect_of(path: Path, delimiter: str | None = None, encoding: str | None = None) -> Dialect:
    """The dialect that a person named, and for what they left open, that of the file's heading.

    Raises:
        InputError: no such delimiter or encoding, or the file cannot be opened.
    """
    if path.suffix == ".toml":
        raise InputError(
            f"{path}: describes a source of records for site.toml; name the table itself here, with "
            "--delimiter and --encoding if it needs them"
        )
    if suffix_of(path) == ".parquet":
        return Dialect()
    head = _head(path)
    named = _encoding(encoding) or ("utf-16" if _is_utf16(head) else "utf-8")
    mark = _delimiter(delimiter)
    if mark is None:
        line = head.decode(named, errors="replace").splitlines()[:1]
        mark = _seen(line[0] if line else "")
    return Dialect(delimiter=mark, encoding=named)


def _head(path: Path) -> bytes:
    with open_regular(path) as file:
        if path.name.lower().endswith(".gz"):
            try:
                return gzip.GzipFile(fileobj=file).read(_PEEKED)
            except (OSError, EOFError):
                return b""
        return file.read(_PEEKED)


def _is_utf16(head: bytes) -> bool:
    return head[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def _encoding(name: str | None) -> Encoding | None:
    if name is None:
        return None
    known: dict[str, Encoding] = {one.replace("-", ""): one for one in get_args(Encoding)}
    found = known.get(name.lower().replace("-", "").replace("_", ""))
    if found is None:
        raise InputError(f"--encoding {name}: expected one of {', '.join(get_args(Encoding))}")
    return found


def _delimiter(text: str | None) -> Delimiter | None:
    if text is None:
        return None
    marks: dict[str, Delimiter] = {mark: mark for mark in get_args(Delimiter)} | _WORDS
    if text not in marks:
        raise InputError(f"--delimiter {text!r}: expected ',', ';', '|' or tab")
    return marks[text]


def _seen(heading: str) -> Delimiter:
    """The comma if there is one outside quotes, else the other mark that is there most often.

    >>> _seen('age;"a,b";sex'), _seen("age")
    (';', ',')
    """
    bare = "".join(heading.split('"')[::2])
    counts = {mark: bare.count(mark) for mark in DELIMITER_NAMES}
    if counts[","] or not any(counts.values()):
        return ","
    return max(get_args(Delimiter), key=counts.__getitem__)
