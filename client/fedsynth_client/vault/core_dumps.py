"""The vault's memory holds the records: neither a crash nor a neighbour may write it to a file.

A core file of a crashed vault would be a table outside its walls. The limit RLIMIT_CORE = 0 stops
core *files*, but not a core that the kernel pipes into a program such as systemd-coredump or apport;
PR_SET_DUMPABLE = 0 stops both, and also keeps other processes of the same user (the courier, should
it share the account) from attaching a debugger or reading /proc/PID/mem (man 2 prctl). Root can do
all of it regardless: the vault does not protect a site from its own administrator.

Swap is not covered: encrypt it, or run the vault without.
"""

import ctypes
import logging
import resource
import sys

_PR_SET_DUMPABLE = 4  # linux/prctl.h
_log = logging.getLogger("fedsynth.vault")


def forbid_dumps() -> None:
    """No core file and no debugger for this process from here on; call it before records are read.

    Where the system does not offer it (other than Linux), the core limit alone holds, and the log
    says so.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not sys.platform.startswith("linux") or ctypes.CDLL(None).prctl(
        _PR_SET_DUMPABLE, 0, 0, 0, 0
    ):
        _log.warning(
            "other processes of this user can read the vault's memory: cannot be closed here"
        )
