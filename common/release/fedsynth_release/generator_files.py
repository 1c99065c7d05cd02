"""The files of a generator folder and their digests.

| file | is |
|---|---|
| `generator.safetensors` | weights and codebook |
| `schema.json` | the public schema |
| `measurements.json` | the noisy marginals that the generator was held against; may be absent |
| `plan.json` | the plan that every site approved: its SHA-256 is the digest they approved |
| `privacy_statement.json` | what was promised and charged; names the SHA-256 of the first three |
| `MODEL_CARD.md` | the statement in words |

Together they are all that `fedsynth verify` needs. A digest beside the file that it describes finds
damage and mix-ups, not a forger, who would write both. `report.html` and tables stand beside the
folder, not in it: they can be made again from it.
"""

import hashlib
from pathlib import Path

WEIGHTS, SCHEMA, PLAN = "generator.safetensors", "schema.json", "plan.json"
STATEMENT, CARD = "privacy_statement.json", "MODEL_CARD.md"
MEASUREMENTS = "measurements.json"
DIGESTED = (WEIGHTS, SCHEMA)
OPTIONAL = (MEASUREMENTS,)
REPORT = "report.html"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in hexadecimal; memory does not grow with the file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests_of(folder: Path) -> dict[str, str]:
    """SHA-256 by name of the files that the statement names; optional ones where they are there."""
    there = [name for name in OPTIONAL if (folder / name).is_file()]
    return {name: sha256_of(folder / name) for name in (*DIGESTED, *there)}
