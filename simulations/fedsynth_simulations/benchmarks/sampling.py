"""Measures how fast a generator draws records, and whether its memory stays constant.

A million records are drawn and written to Parquet, as `fedsynth sample` does. For comparison, every
column is drawn on its own from its frequencies with numpy's `multinomial` and shuffled, in the same
process and without decoding values or writing a file. A table can hardly be drawn faster than that.
Peak memory is measured in a process of its own, for a tenth of the records and for all of them.

Any generator can be used, because the speed depends on the columns and rules and not on what was
learned.
"""

import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedsynth_release.generator import Generator
from fedsynth_release.table_writer import TableWriter


@dataclass(frozen=True)
class SamplingFigures:
    """The figures; rates are in records per second and peaks in MiB.

    Attributes:
        rows: number of records drawn.
        rate: rate of the generator, writing a Parquet file.
        drawing_rate: rate of the generator, without writing a file.
        independent_rate: rate of independent columns by numpy's multinomial, without values or
            file.
        peak_tenth: peak memory of a process that draws a tenth of the records.
        peak: peak memory of a process that draws all records.
    """

    rows: int
    rate: float
    drawing_rate: float
    independent_rate: float
    peak_tenth: float
    peak: float

    @property
    def lines(self) -> list[str]:
        """For people."""
        return [
            f"{self.rows:,} records to Parquet: {self.rate:,.0f} records/s",
            f"drawn, not written: {self.drawing_rate:,.0f} records/s",
            f"independent columns (numpy multinomial): {self.independent_rate:,.0f} records/s",
            f"peak memory: {self.peak_tenth:.0f} MiB for a tenth, {self.peak:.0f} MiB for all",
        ]


def measure(folder: Path, rows: int) -> SamplingFigures:
    """Measure the generator in a folder.

    Raises:
        InputError: no generator there.
    """
    generator = Generator.load(folder)
    start = time.perf_counter()
    for _ in generator.stream(rows, seed=1):
        pass
    drawing = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "rows.parquet"
        start = time.perf_counter()
        write(generator, rows, out)
        writing = time.perf_counter() - start
    start = time.perf_counter()
    independent(generator, rows, np.random.default_rng(1))
    alone = time.perf_counter() - start
    return SamplingFigures(
        rows=rows,
        rate=rows / writing,
        drawing_rate=rows / drawing,
        independent_rate=rows / alone,
        peak_tenth=peak_of(folder, max(1, rows // 10)),
        peak=peak_of(folder, rows),
    )


def write(generator: Generator, rows: int, out: Path) -> None:
    """Stream records to a file, as `fedsynth sample` does."""
    with TableWriter(out) as writer:
        for frame in generator.stream(rows, seed=1):
            writer.write(frame)


def independent(generator: Generator, rows: int, rng: np.random.Generator) -> None:
    """Codes of every column by itself, from the generator's own frequencies."""
    for width in generator.codebook.widths:
        counts = rng.multinomial(rows, np.full(width, 1 / width))
        rng.shuffle(np.repeat(np.arange(width, dtype=np.uint16), counts))


def peak_of(folder: Path, rows: int) -> float:
    """Peak resident memory, in MiB, of a process that draws so many records to a Parquet file."""
    command = [sys.executable, "-m", __name__, str(folder), str(rows)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout)


def _main(folder: str, rows: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        write(Generator.load(folder), int(rows), Path(scratch) / "rows.parquet")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10  # bytes there, KiB elsewhere
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit)


if __name__ == "__main__":
    _main(*sys.argv[1:])
