"""Makes `tests/small_study.py` and this folder's `killed_study.py` importable."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parent)]
