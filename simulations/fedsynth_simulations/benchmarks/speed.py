"""What the parts of a study cost beside a yardstick that does the least they could: one table.

Every line is timed in turn with its yardstick in one process, so that other work on the machine meets
both, and is the median of several repeats. Tables are random (`large.py`): how fast a part is depends on
columns and records, not on what they say. Whoever compares versions compares the ratios.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from fedsynth_server.training.probe import Probe
from fedsynth_server.training.settings import TrainingSettings
from fedsynth_simulations.benchmarks.speed_discriminator import ROWS as STEP_ROWS
from fedsynth_simulations.benchmarks.speed_discriminator import discriminator_steps, site_messages
from fedsynth_simulations.benchmarks.speed_tables import tables
from fedsynth_simulations.benchmarks.timing import Step, Timing, beside

WIDTHS, ROWS = (15, 50, 200), (10_000, 100_000, 1_000_000)
MOST_CELLS = 50_000_000
"""Larger tables are left out: they need more memory than a laptop has."""


def timings(widths: Sequence[int], rows: Sequence[int], repeats: int) -> Iterator[Timing]:
    """All parts, the quick ones first."""
    yield from commands(repeats)
    yield from private_steps(repeats)
    yield from site_messages(repeats)
    for width in widths:
        yield from training(width, repeats)
    for width in widths:
        for count in rows:
            if width * count <= MOST_CELLS:
                yield from tables(width, count, repeats)


def commands(repeats: int) -> Iterator[Timing]:
    """How long a person waits for the list of commands, and Flower for a courier."""
    python = [sys.executable, "-c"]
    script = [str(Path(sys.executable).with_name("fedsynth")), "--help"]
    yield beside(
        "fedsynth --help", _process(script), "Python", _process([*python, "pass"]), repeats
    )
    courier = _process([*python, "import fedsynth_client.courier"])
    flower = _process([*python, "import flwr.clientapp"])
    yield beside("import of the courier", courier, "import of flwr.clientapp", flower, repeats)


def private_steps(repeats: int) -> Iterator[Timing]:
    """A site's DP-SGD step beside an ordinary one, for its own shapes of tables."""
    for step in discriminator_steps(repeats):
        people = f", {step.rows_per_person} rows a person" if step.rows_per_person > 1 else ""
        part = f"DP-SGD step, {step.codes} codes a column{people}"
        seconds = (step.private / 1000, "step without privacy", step.plain / 1000)
        yield Timing(part, step.columns, STEP_ROWS, *seconds)


def training(columns: int, repeats: int) -> Iterator[Timing]:
    """Steps of the generator's training beside the product of matrices that they cannot do without."""
    widths = [20] * columns
    probe = Probe(widths, TrainingSettings(), paired=True)
    soft = torch.rand(probe.latents, sum(widths))
    size, product = (columns, probe.latents), "latents' product PᵀP"

    def least() -> object:
        return soft.t() @ soft

    fit_step = probe.fit_once()
    yield beside("fit step", fit_step, product, least, repeats, size)
    step = probe.adversarial_once()
    yield beside("adversarial step", step, "fit step", fit_step, repeats, size)


def _process(command: list[str]) -> Step:
    return lambda: subprocess.run(command, check=True, capture_output=True)
