"""One thread for computing, unless the user's environment asks for more.

The networks and models are small: a second thread mostly waits for the first, and where other programs
run beside, it waits very long. On a busy computer with two cores an evaluation of 3,000 rows took 22 to
69 s with two threads and 3 s with one; a fit of 2,000 rows 6 s and 4 s.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

ASKED = "OMP_NUM_THREADS"


@contextmanager
def few_threads() -> Iterator[None]:
    """Compute with one thread meanwhile; with `OMP_NUM_THREADS` set, with as many as it says."""
    if ASKED in os.environ:
        yield
        return
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(limits=1):
            yield
    finally:
        torch.set_num_threads(before)
