"""Limits on the size of everything that one party of a study sends to another.

These public numbers decide how much of a file or message is read before it is parsed. So a file that
is too long, or that never ends, costs no more than its limit. The limits are far above the largest
honest study. Within them, the plan and the schema bound what a study may hold.

The sizes of a vault's replies and the memory of a request follow from the same numbers. So no request is
charged whose reply could not be delivered, and no limit depends on the number of records.
"""

from pathlib import Path

from fedsynth_common.errors import InputError

KIB, MIB = 1 << 10, 1 << 20
MAX_MESSAGE_BYTES = 64 * MIB
"""The most bytes of a message between courier and vault, and of a message that Flower carries."""
MAX_PLAN_BYTES = 32 * MIB
MAX_SCHEMA_BYTES = 16 * MIB
MAX_STATEMENT_BYTES = 64 * MIB
MAX_SETTINGS_BYTES = 256 * KIB
"""The most bytes of a file that a person writes: policy, configuration, `study.toml`."""
MAX_LINE = KIB
"""The most bytes of a line in a TOML file that somebody else may have written."""
MAX_RECEIPT_BYTES = 4 * MIB

MAX_REPAIRED = 0.2
"""The largest share of a column's cells that may say something else after the encoding: `site check`,
`schema check` and `simulate` refuse a table with more."""

MAX_CELLS = 16_000_000
"""Counts of a measure request: four bytes each, they fit into a reply."""
MAX_MARGINALS = 1 << 17
"""Of a measure request: all pairs of 500 columns."""
MAX_MEASURES, MAX_VARIANCES = 4, 2
"""Measure requests of a study, and different noise variances of one of them.

Each variance is a mechanism of its own, and to account for one takes up to about a second; for the
costliest training it takes six. A study of fedsynth has two requests of one variance each."""
MAX_LAG = 3
"""Of marginals from one event of a person to a later one."""
MAX_MECHANISMS_ASKED = 2 + MAX_LAG
"""Different pairs of variance and sensitivity in a measure request about histories."""
AXES_PER_COLUMN = 8
"""Different views of a column in a measure request, on average over the columns."""
MAX_PARAMETERS = 5_000_000
"""Of a discriminator: its weights and Adam's moments, twelve bytes a parameter, fit into a message."""

LARGEST_REQUEST_BYTES = 1280 * MIB
"""Memory that a vault takes for a request besides its records.

Measured: 367 MiB for the most counts, 626 MiB for the widest network (a slow test holds both below it
with room for the rest), and 419 MiB for pricing 22 mechanisms with the costliest training found, of
which 155 MiB stay taken (a slow test holds a series of such plans below `ACCOUNTANT_BYTES`)."""
ACCOUNTANT_BYTES = 512 * MIB
"""The part of this memory that pricing may take and keep."""

REQUEST_BYTES = {
    "enroll": MAX_PLAN_BYTES + KIB,
    "measure": 16 * MIB,
    "discriminate": MAX_MESSAGE_BYTES,
    "receipt": KIB,
    "keys": KIB,
    "shares": MIB,
    "agree": 4 * KIB,
    "unmask": MIB,
}
"""The longest request of each method that a vault reads."""
REPLY_BYTES = {
    "enroll": 64 * KIB,
    "measure": MAX_MESSAGE_BYTES,
    "discriminate": MAX_MESSAGE_BYTES,
    "receipt": MAX_RECEIPT_BYTES + KIB,
    "keys": 256 * KIB,
    "shares": MIB,
    "agree": KIB,
    "unmask": 64 * KIB,
}
"""The longest reply of each method that a coordinator reads."""


def within_lines(data: bytes, source: str) -> str:
    """The text of a TOML file, if no line is longer than `MAX_LINE`.

    A key of n parts stands on one line, and parsing it takes time proportional to n squared.

    Raises:
        InputError: a longer line.
        UnicodeDecodeError: not UTF-8.
    """
    if max(map(len, data.split(b"\n"))) > MAX_LINE:
        raise InputError(f"{source}: a line is longer than the {MAX_LINE:,} bytes that it may have")
    return data.decode("utf-8")


def printable(text: str, most: int = 500) -> str:
    r"""A text of somebody else, shortened and without characters that control a terminal.

    >>> printable("north\x1b[2K"), printable("abcdef", most=4)
    ('north?[2K', 'abcd…')
    """
    shown = "".join(character if character.isprintable() else "?" for character in text[:most])
    return shown + "…" if len(text) > most else shown


def read_limited(path: Path, most: int) -> bytes:
    """The bytes of a file that somebody else may have made; no more of it is read than `most` + 1.

    Raises:
        InputError: it is longer.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        data = file.read(most + 1)
    if len(data) > most:
        raise InputError(f"{path}: longer than the {most:,} bytes that such a file may have")
    return data
