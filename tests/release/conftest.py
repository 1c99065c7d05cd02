"""Makes `tests/small_study.py` importable: a study that takes a second."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
