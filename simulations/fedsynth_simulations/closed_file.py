"""Files with exact facts about records: marked as such inside, and open to their owner alone.

A simulation runs where the real records are, so some of what it writes was computed from them
without noise. Such files carry `NOTICE` and have mode 0600 whatever the umask; they are written
here and nowhere else.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fedsynth_common.durable import write_durably

NOTICE = (
    "Holds numbers of records and figures computed from real records without noise: not "
    "differentially private, not for release."
)
OWNER_ONLY = 0o600


def write_closed(path: Path, fields: Mapping[str, Any], indent: int = 2) -> None:
    """Write `fields` as JSON, with the notice before them.

    Raises:
        OSError: the place cannot be written to.
    """
    text = json.dumps({"notice": NOTICE, **fields}, indent=indent) + "\n"
    write_durably(path, text.encode(), OWNER_ONLY)
