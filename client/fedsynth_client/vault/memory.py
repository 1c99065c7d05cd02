"""Tests, before a vault answers anybody, that the largest request fits into memory.

The records take memory that grows with their number. If a vault started with less memory left than a
request may take, a coordinator could send larger and larger requests until one fails. That would tell
how much memory was left, and so about how many records there are. Therefore the vault allocates all
the memory once when it starts, and then gives it back.
"""

import mmap
import os
from contextlib import suppress

from fedsynth_common.errors import FedsynthError
from fedsynth_common.limits import LARGEST_REQUEST_BYTES, MIB

SAMPLED_BYTES = 80
"""Bytes for each record that a step of DP-SGD draws: its number and person (a slow test checks it)."""


def memory_needed(rows: int, waiting: int = 0) -> int:
    """Bytes that requests may take in a vault with `rows` records, `waiting` bytes of them unread."""
    return LARGEST_REQUEST_BYTES + waiting + SAMPLED_BYTES * rows


def prove_memory(needed: int) -> None:
    """Allocate that many bytes, write to every page, and give them back.

    A child process does this. If there is too little memory, the system ends the child process and
    not the vault.

    Raises:
        FedsynthError: there is too little memory; the message says how much is needed.
    """
    child = os.fork()
    if not child:
        _touch(needed)
    _, status = os.waitpid(child, 0)
    if status:
        raise FedsynthError(
            f"not enough memory: besides its records this vault needs {-(-needed // MIB):,} MiB for "
            "requests; raise its limit (VAULT_MEMORY in compose.site.yml), or use a larger computer"
        )


def _touch(size: int) -> None:
    """Write to every page of `size` bytes and leave this process; status 0 if they are there."""
    status = 1
    with suppress(BaseException):
        with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as room:
            room[:: mmap.PAGESIZE] = bytes(-(-size // mmap.PAGESIZE))
        status = 0
    os._exit(status)
