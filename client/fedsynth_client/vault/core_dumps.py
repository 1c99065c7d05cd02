"""Keeps the vault's memory, which holds the records, out of core dumps and debuggers.

The core file of a crashed vault would hold the table. The limit RLIMIT_CORE = 0 stops core *files*,
but not a core that the kernel pipes into a program such as systemd-coredump or apport.
PR_SET_DUMPABLE = 0 stops both. It also keeps other processes of the same user (the courier, if both
run as one user) from attaching a debugger or reading /proc/PID/mem (man 2 prctl). Root can do all of
this in any case: the vault does not protect a site from its own administrator.

Swap is not covered. Encrypt it, or run the vault on a computer without swap.
"""

import ctypes
import logging
import resource
import sys

_PR_SET_DUMPABLE = 4  # linux/prctl.h
_log = logging.getLogger("fedsynth.vault")


def forbid_dumps() -> None:
    """Forbid core files and debuggers of this process. Call it before records are read.

    Systems other than Linux have the core limit alone, and the log says so.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not sys.platform.startswith("linux") or ctypes.CDLL(None).prctl(
        _PR_SET_DUMPABLE, 0, 0, 0, 0
    ):
        _log.warning(
            "other processes of this user can read the vault's memory: cannot be closed here"
        )
