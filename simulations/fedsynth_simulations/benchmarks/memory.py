"""Measures the peak memory of a process.

`ru_maxrss` of a child that was started by a large process begins at the parent's size (Linux keeps
the high-water mark across `exec`), so where there is a /proc the mark of the address space itself
is read: `VmHWM`, which starts anew.
"""

import resource
import sys
from pathlib import Path


def peak_megabytes(process: int | None = None) -> float:
    """Peak resident memory in MiB of process number `process`, or of this one; 0.0 if unknown."""
    status = Path("/proc", "self" if process is None else str(process), "status")
    try:
        lines = status.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    if process is not None:
        return 0.0
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / (1 << 20)
