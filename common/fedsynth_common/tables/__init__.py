"""Tables in and out: CSV and Parquet files, whole or in chunks, and one canonical text for a cell.

CSV cells are read as text and nothing is guessed: an empty cell is missing, "NA" is the text "NA",
"007" keeps its zeros. Faults are told with their place, never with their content.
"""

from fedsynth_common.tables.arrow import frame_of
from fedsynth_common.tables.cell_text import text_of, whole_number
from fedsynth_common.tables.cells import as_number, as_text, factorise, numbers_of
from fedsynth_common.tables.csv_stream import UNNAMED, Delimiter, Dialect, Encoding, check_names
from fedsynth_common.tables.files import (
    SUFFIXES,
    chunks_of,
    open_regular,
    read_chunks,
    read_table,
    suffix_of,
)
from fedsynth_common.tables.moments import in_calendar, moments_of, seconds_of
from fedsynth_common.tables.storage import stored

__all__ = [
    "SUFFIXES",
    "UNNAMED",
    "Delimiter",
    "Dialect",
    "Encoding",
    "as_number",
    "as_text",
    "check_names",
    "chunks_of",
    "factorise",
    "frame_of",
    "in_calendar",
    "moments_of",
    "numbers_of",
    "open_regular",
    "read_chunks",
    "read_table",
    "seconds_of",
    "stored",
    "suffix_of",
    "text_of",
    "whole_number",
]
