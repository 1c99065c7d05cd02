"""Makes this folder's helper importable, and the scripts that build the site."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1] / "docs/site")]
