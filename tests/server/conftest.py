"""Makes `tests/small_study.py` and `messages/killed_study.py` importable."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent), str(HERE / "messages")]
