"""Reads CSV strictly, in pieces of whole rows, with bounded memory.

If a row slid by one column, it would silently become somebody else's record. For this reason
everything that RFC 4180 does not allow is refused: ragged rows, a quote inside an unquoted cell or
behind a closed one, a quote that is never closed, NUL bytes, bytes that are not text in the declared
encoding, and headings that are empty or repeated. The message names the line and, where there is one,
the column. It never contains what the cell holds.

Line ends may be LF, CRLF or CR. Empty lines are skipped, and a byte order mark is accepted.
"""

import codecs
import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Literal, NoReturn

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pc

from fedsynth_common.errors import InputError
from fedsynth_common.tables.csv_rows import column_at, end_of_rows, line_ends, stray_quote

Encoding = Literal[
    "utf-8", "utf-16", "latin-1", "iso-8859-15", "cp1250", "cp1251", "cp1252", "cp850"
]
Delimiter = Literal[",", ";", "\t", "|"]
DELIMITER_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
BLOCK = 1 << 22  # bytes read at once: bounds memory, changes nothing else
LONGEST_ROW = 1 << 24
UNNAMED = "Unnamed: "
LONGEST_NAME = 200  # as long as a schema takes


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a CSV file is written."""

    delimiter: Delimiter = ","
    encoding: Encoding = "utf-8"


class CsvStream:
    """Frames of text cells from an open file; an empty cell is missing."""

    def __init__(self, file: BinaryIO, source: str, dialect: Dialect | None = None) -> None:
        """Start at the file's beginning; `source` is how messages call the file."""
        self._file, self._source = file, source
        self._dialect = dialect or Dialect()
        self._delimiter = self._dialect.delimiter.encode()
        self._line = 1  # of the first row not yet given out
        self.names: list[str] = []

    def frames(self) -> Iterator[pd.DataFrame]:
        """All rows in order, piece by piece; `names` is known from the first piece on.

        Raises:
            InputError: with line and column of the first fault.
        """
        for piece in self._pieces():
            if not self.names:
                piece = self._take_heading(piece)
            if piece.strip(b"\r\n"):
                yield self._frame(piece)
            self._line += line_ends(piece)
        if not self.names:
            raise InputError(
                f"{self._source}: the file is empty; expected a header row and records"
            )

    def _pieces(self) -> Iterator[bytes]:
        """Valid UTF-8 that holds whole rows."""
        rest = b""
        for block in self._blocks():
            rest += block
            if piece := rest[: end_of_rows(rest)]:
                self._check_quotes(piece)
                rest = rest[len(piece) :]
                yield piece
            if len(rest) > LONGEST_ROW:
                self._refuse("a quote is never closed, or the row is longer than 16 MB")
        if rest:
            self._check_quotes(rest)
            if rest.count(b'"') % 2:
                self._refuse("a quote is opened and never closed")
            yield rest

    def _blocks(self) -> Iterator[bytes]:
        decoder = codecs.getincrementaldecoder(self._dialect.encoding)()
        as_is, offset, first = self._dialect.encoding == "utf-8", 0, True
        while True:
            block = self._file.read(BLOCK)
            if first and as_is and block[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                self._refuse("UTF-16 text; save it as UTF-8, or declare its encoding")
            pending = decoder.getstate()[0]
            try:
                text = decoder.decode(block, final=not block)
            except UnicodeError as error:
                start = error.start if isinstance(error, UnicodeDecodeError) else 0
                place = offset - len(pending) + start
                raise InputError(f"{self._source}: {self._not_text(place)}") from None
            offset += len(block)
            if as_is:  # decoding was the check: the bytes go on as they are, but whole characters
                whole = pending + block
                data = whole[: len(whole) - len(decoder.getstate()[0])]
            else:
                data = text.encode("utf-8")
            yield data.removeprefix(codecs.BOM_UTF8) if first else data
            first = first and not data
            if not block:
                return

    def _not_text(self, place: int) -> str:
        name = self._dialect.encoding.upper()
        remedy = "declare its encoding (Excel often writes cp1252), or save it as UTF-8"
        return f"byte {place} is not {name} text; {remedy}"

    def _check_quotes(self, rows: bytes) -> None:
        """Refuse NUL bytes, and quotes where RFC 4180 allows none."""
        if (nul := rows.find(b"\0")) >= 0:
            self._refuse_at(rows, nul, "a NUL byte (is the file UTF-16 text?)")
        place = stray_quote(rows, self._delimiter)
        if place is not None:
            self._refuse_at(rows, place, "a quote inside a cell; double it, in quotes")

    def _take_heading(self, rows: bytes) -> bytes:
        """Set the names; returns what follows the first row."""
        end = end_of_rows(rows, first=True) or len(rows)
        text = rows[:end].decode("utf-8").rstrip("\r\n")
        delimiter = self._dialect.delimiter
        try:
            header = next(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), [])
        except csv.Error:
            header = []
        if len(header) == 1 and (
            other := [m for m in ",;\t|" if m in header[0] and m != delimiter]
        ):
            wanted, seen = DELIMITER_NAMES[delimiter], DELIMITER_NAMES[other[0]]
            fault = f"columns must be separated by {wanted}; it looks like {seen}"
            raise InputError(f"{self._source}: {fault}: declare the delimiter, or save it again")
        self.names = with_unnamed([name.strip() for name in header])
        check_names(self.names, self._source)
        self._line += line_ends(rows[:end])
        return rows[end:]

    def _frame(self, rows: bytes) -> pd.DataFrame:
        table = self._parsed(rows)
        if table is None:
            self._refuse_ragged(rows)
        frame = pd.DataFrame(table.to_pandas())
        frame.columns = pd.Index(self.names)
        return frame

    def _parsed(self, rows: bytes) -> Any:
        """An Arrow table, or None: Arrow's error quotes the row and must not be anybody's context."""
        keys = [str(place) for place in range(len(self.names))]
        try:
            return pc.read_csv(
                pa.BufferReader(rows),
                read_options=pc.ReadOptions(
                    use_threads=False, column_names=keys, block_size=len(rows) + 1
                ),
                parse_options=pc.ParseOptions(
                    delimiter=self._dialect.delimiter, newlines_in_values=True
                ),
                convert_options=pc.ConvertOptions(
                    column_types=dict.fromkeys(keys, pa.string()),
                    null_values=[""],
                    strings_can_be_null=True,
                ),
            )
        except pa.ArrowException:
            return None

    def _refuse_ragged(self, rows: bytes) -> NoReturn:
        """Find the first row of another length with the slow reader, which knows its line."""
        text = io.StringIO(rows.decode("utf-8"), newline="")
        reader, start, width = (
            csv.reader(text, delimiter=self._dialect.delimiter),
            0,
            len(self.names),
        )
        try:
            for row in reader:
                if row and len(row) != width:
                    self._line += start
                    extra = len(row) == width + 1 and not row[-1]
                    hint = "; the line ends with a delimiter that the header lacks" if extra else ""
                    self._refuse(f"{len(row)} cells, the header has {width}{hint}")
                start = reader.line_num
        except csv.Error:
            self._line += start
        self._refuse(
            f"from here on not a table separated by {DELIMITER_NAMES[self._dialect.delimiter]}"
        )

    def _refuse_at(self, rows: bytes, place: int, fault: str) -> NoReturn:
        self._line += line_ends(rows[:place])
        self._refuse(f"column number {column_at(rows, place, self._delimiter)}: {fault}")

    def _refuse(self, fault: str) -> NoReturn:
        raise InputError(f"{self._source}: line {self._line}: {fault}")


def with_unnamed(names: list[str]) -> list[str]:
    """The headings, with `Unnamed: K` for an empty one at place K from 0, as pandas calls it.

    Programs write a running number without a heading, and a delimiter at the end of each line makes a
    column of nothing. A schema can then declare such a column, and a site can ignore it.

    >>> with_unnamed(["", "age", ""])
    ['Unnamed: 0', 'age', 'Unnamed: 2']
    """
    if not any(names):
        return names
    return [name or f"{UNNAMED}{place}" for place, name in enumerate(names)]


def check_names(names: list[str], source: str) -> None:
    """Refuse headings that are missing or occur twice.

    Raises:
        InputError: telling the place, or the name that is repeated.
    """
    if not any(names):
        raise InputError(f"{source}: the first row must hold the column names")
    seen = set()
    for place, name in enumerate(names, start=1):
        if not name:
            raise InputError(f"{source}: column number {place} has no name")
        if len(name) > LONGEST_NAME:
            fault = f"its heading is longer than {LONGEST_NAME} characters; shorten it"
            raise InputError(f"{source}: column number {place}: {fault}")
        if name in seen:
            raise InputError(f"{source}: the column name {name!r} occurs more than once")
        seen.add(name)
