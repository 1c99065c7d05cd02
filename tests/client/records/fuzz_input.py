"""Fuzzes the whole way of a table into the vault: bytes, reading, checking, encoding.

    python tests/client/records/fuzz_input.py [--seconds 60] [--seed N]

Valid CSV and Parquet files are damaged (bytes flipped, cut, doubled, exchanged with marks that mean
something), read, checked and encoded. Nothing but our own errors may come out, none may hold a cell's
text (every cell holds a canary), and codes must be those of the schema. A failure prints the seed of
its round and keeps the file; exit code 1. Parquet's decoder is native code, so each batch of rounds runs
in a process of its own, and its death is a failure too.
"""

import argparse
import gzip
import io
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pandas as pd

from fedsynth_client.budget.policy import Policy
from fedsynth_client.preflight.preflight import Inspection
from fedsynth_client.records.guarded_reading import GuardedSource
from fedsynth_client.records.sources import FileSource
from fedsynth_common.errors import FedsynthError
from fedsynth_common.privacy.randomness import SeededRandomness
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    DateColumn,
    IdColumn,
    IntegerColumn,
    NumericColumn,
    Schema,
    domains,
)
from fedsynth_common.tables import Dialect

CANARY = "QZCANARYQZ"
ROUNDS = 200  # of a process
SCHEMA = Schema(
    name="fuzz",
    columns=(
        IdColumn(name="who"),
        CategoricalColumn(name="ward", categories=("a", "b"), nullable=True),
        BooleanColumn(name="smoker", nullable=True),
        IntegerColumn(name="age", minimum=0, maximum=99, nullable=True),
        NumericColumn(name="price", minimum=0.0, maximum=100.0, nullable=True),
        DateColumn(name="seen", minimum="2000-01-01", maximum="2030-12-31", nullable=True),
    ),
    person_key="who",
    rows_per_person=2,
)
POLICY = Policy(dataset="f", max_epsilon=1.0, max_delta=1e-5, min_records=1, approved_plans="any")
MARKS = [
    b'"',
    b'""',
    b",",
    b";",
    b"\n",
    b"\r",
    b"\r\n",
    b"\0",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\xc3",
    b"",
]
MARKS += [b"1e999", b"-", b"nan", b"2020-02-30", "\u0663".encode(), b"9" * 400, b"=cmd", b" " * 50]
DIALECTS = [
    *[None] * 6,
    Dialect(delimiter=";"),
    Dialect(encoding="utf-16"),
    Dialect(encoding="cp1252"),
]


def table(rng: random.Random) -> pd.DataFrame:
    """A small table with a canary in every text."""
    rows = rng.randrange(1, 30)
    columns = {
        "who": [f"{CANARY}{n // 2}" for n in range(rows)],
        "ward": [rng.choice([*["a", "b"] * 9, None, f"{CANARY} x"]) for _ in range(rows)],
        "smoker": [rng.choice([True, False, None]) for _ in range(rows)],
        "age": pd.array([rng.choice([None, rng.randrange(105)]) for _ in range(rows)], "Int64"),
        "price": [rng.uniform(-2, 102) for _ in range(rows)],
        "seen": pd.to_datetime([f"20{rng.randrange(10, 32)}-01-0{rng.randrange(1, 9)}"] * rows),
    }
    return pd.DataFrame(columns)


def written(rng: random.Random) -> tuple[bytes, str]:
    """The bytes of a valid file and its suffix."""
    frame, kind = table(rng), rng.choice([".csv", ".csv", ".csv.gz", ".parquet"])
    if kind == ".parquet":
        stream = io.BytesIO()
        compression = rng.choice(["snappy", "gzip", "none", "zstd"])
        frame.to_parquet(stream, compression=None if compression == "none" else compression)
        return stream.getvalue(), kind
    frame["smoker"] = frame["smoker"].map({True: "true", False: "false"})
    quoting = rng.choice([0, 1, 2])
    text = frame.to_csv(index=False, quoting=quoting, lineterminator=rng.choice(["\n", "\r\n"]))
    content = text.encode(rng.choice(["utf-8"] * 6 + ["utf-8-sig", "utf-16"]))
    return (gzip.compress(content), kind) if kind == ".csv.gz" else (content, kind)


def damaged(content: bytes, rng: random.Random) -> bytes:
    """The content with some faults."""
    data = bytearray(content)
    for _ in range(rng.choice([0, 0, 1, 1, 2, 5, 20])):
        place = rng.randrange(len(data) + 1)
        end = min(len(data), place + rng.randrange(1, 12))
        match rng.randrange(6):
            case 0:
                data[place:end] = rng.randbytes(end - place)
            case 1:
                del data[place:end]
            case 2:
                data[place:place] = rng.choice(MARKS)
            case 3:
                data[place:end] = rng.choice(MARKS)
            case 4:
                data[place:place] = data[place:end]
            case _:
                del data[place + rng.randrange(200) :]
    return bytes(data)


def attempt(path: Path, rng: random.Random) -> str:
    """What became of a file: "served", or the kind of its refusal.

    Raises:
        AssertionError: a message with a cell in it, or codes that are none.
        Exception: whatever should not have come out.
    """
    inspection = Inspection(SCHEMA, POLICY, max_repaired=rng.choice([0.2, 1.0, 1.0]), keep=True)
    try:
        inspection.read(GuardedSource(FileSource(path, rng.choice(DIALECTS))))
        result = inspection.result()
        said = " ".join([*result.problems, *result.notes, repr(result.columns)])
        assert CANARY not in said, "a report quotes a cell"
        result.require_fit()
        records = inspection.records.finish(SeededRandomness(0))
    except FedsynthError as error:
        assert CANARY not in str(error), "a message quotes a cell"
        assert "withheld" not in str(error), f"unforeseen: {error}"
        assert error.__context__ is None or error.__suppress_context__, (
            "a context could quote a cell"
        )
        return type(error).__name__
    for place, domain in enumerate(domains(SCHEMA)):
        assert int(records.codes[:, place].max()) < domain.width, "an undeclared code"
    return "served"


def rounds(seed: int, folder: Path) -> Counter[str]:
    """`ROUNDS` files; raises at the first that fails, and leaves it in the folder."""
    ends: Counter[str] = Counter()
    for number in range(ROUNDS):
        rng = random.Random(seed * ROUNDS + number)
        content, suffix = written(rng)
        path = folder / f"round-{seed * ROUNDS + number}{suffix}"
        path.write_bytes(damaged(content, rng))
        ends[attempt(path, rng)] += 1
        path.unlink()
    return ends


def main() -> int:
    """Run batches until the time is over."""
    parser = argparse.ArgumentParser(description="Fuzz the reading of tables.")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.batch:
        print(" ".join(f"{k}={n}" for k, n in sorted(rounds(given.seed, given.batch).items())))
        return 0
    ends: Counter[str] = Counter()
    folder, stop, seed = (
        Path(tempfile.mkdtemp(prefix="fedsynth-fuzz-")),
        time.monotonic(),
        given.seed,
    )
    stop += given.seconds
    while time.monotonic() < stop:
        command = [sys.executable, __file__, "--seed", str(seed), "--batch", str(folder)]
        ended = subprocess.run(command, capture_output=True, text=True, check=False)
        if ended.returncode:
            print(
                f"seed {seed} failed ({ended.returncode}); its file is in {folder}", file=sys.stderr
            )
            print(ended.stderr[-2000:], file=sys.stderr)
            return 1
        ends.update({k: int(n) for k, n in (e.split("=") for e in ended.stdout.split())})
        seed += 1
    folder.rmdir()
    print(f"{sum(ends.values())} files: {dict(ends)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
