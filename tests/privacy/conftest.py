"""Makes `tests/small_site.py` importable: a site with a real vault; the coins of the one-run audits."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))


@pytest.fixture
def coins():
    """Which canaries of a one-run audit are in the table: (canaries,)."""
    from one_run_audit import CANARIES  # found through the line above

    return np.random.default_rng(2_305_08846).random(CANARIES) < 0.5
