"""The files of a generator folder and their digests.

| file | content |
|---|---|
| `generator.safetensors` | weights and codebook |
| `schema.json` | the public schema |
| `measurements.json` | the noisy marginals to compare the generator with; may be absent |
| `margins.parquet` | noisy shares of columns and pairs with error bars; may be absent |
| `drift.json` | of a refresh, what changed since the earlier cohorts |
| `lineage.json` | of a refresh, the plans and statements of the studies that it builds on |
| `plan.json` | the plan that every site approved; sites approve its SHA-256 |
| `privacy_statement.json` | what was promised and charged, and the SHA-256 of the first six files |
| `MODEL_CARD.md` | the statement in words |

`fedsynth verify` needs no other files. The digests in the statement reveal a file that was damaged
or mixed up. They do not reveal a forgery, because a forger would change the digest too.
`report.html` and tables are written beside the folder and not into it, because they can be made
again from the folder.
"""

import hashlib
from pathlib import Path

WEIGHTS, SCHEMA, PLAN = "generator.safetensors", "schema.json", "plan.json"
STATEMENT, CARD = "privacy_statement.json", "MODEL_CARD.md"
MEASUREMENTS = "measurements.json"
DRIFT, LINEAGE = "drift.json", "lineage.json"
DIGESTED = (WEIGHTS, SCHEMA)
MARGINS = "margins.parquet"
OPTIONAL = (MEASUREMENTS, MARGINS, DRIFT, LINEAGE)
REPORT = "report.html"
GENERATOR = "generator"
"""The generator's folder within the folder of a release."""


def generator_folder(folder: Path) -> Path:
    """The generator's folder: `folder` itself or, of a release that was exported, the one within it.

    Returns `folder` where neither is a generator; whoever reads it then says what is missing.
    """
    inner = folder / GENERATOR
    within = not (folder / STATEMENT).is_file() and (inner / STATEMENT).is_file()
    return inner if within else folder


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal, computed with constant memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digests_of(folder: Path) -> dict[str, str]:
    """The SHA-256, by name, of those files that the statement lists and that are in the folder."""
    there = [name for name in OPTIONAL if (folder / name).is_file()]
    return {name: sha256_of(folder / name) for name in (*DIGESTED, *there)}
