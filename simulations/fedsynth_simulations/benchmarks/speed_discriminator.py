"""What privacy costs a site: a DP-SGD step of the discriminator beside an ordinary step.

The ordinary one predicts every column of the same rows (`predictions`), goes back, and makes a step of
Adam, in single precision. The private one predicts eight columns, clips each record (or person), adds
noise and makes the same step. Both are timed in turn, so that whatever else the machine does meets both.
"""

import statistics
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch

from fedsynth_client.records.records import Records
from fedsynth_client.vault.assignment import Assignment
from fedsynth_client.vault.discriminate import Trainer, discriminate
from fedsynth_common.array_types import UInt16Array
from fedsynth_common.networks import Discriminator, flatten, one_hot, predictions
from fedsynth_common.privacy.noise import gaussian
from fedsynth_common.privacy.randomness import Randomness
from fedsynth_common.protocol.plan import DiscriminatorPlan
from fedsynth_server.study.planning import Rounds
from fedsynth_simulations.benchmarks.timing import Step, Timing, beside, seconds_of

ROWS = 1_000
SHAPES = ((15, 20, 1), (50, 14, 1), (15, 20, 2), (15, 20, 20))
"""Columns, codes of each, and rows of each person."""


class StepTimes(NamedTuple):
    """Milliseconds of one step on `ROWS` rows; `noise` is the part of `private` that draws it."""

    columns: int
    codes: int
    rows_per_person: int
    plain: float
    private: float
    noise: float

    @property
    def ratio(self) -> float:
        """Private over plain."""
        return self.private / self.plain


def discriminator_steps(repeats: int = 15) -> list[StepTimes]:
    """The medians of `repeats` steps of each kind, for each of `SHAPES`, on one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return [_times(*shape, repeats) for shape in SHAPES]
    finally:
        torch.set_num_threads(threads)


def site_messages(repeats: int) -> Iterator[Timing]:
    """A site's answer to one message of the usual plan, beside as many steps without privacy.

    The site holds so many records that a step's batch is expected to have `ROWS`.
    """
    rounds = Rounds()
    for columns, codes, rows_per_person in SHAPES:
        if rows_per_person > 1:
            continue
        count = round(ROWS / rounds.sampling_rate)
        drawn, order = _drawn(count, columns, codes), _order(columns, codes, 1, rounds)
        records, plain = Records(drawn, None), _plain_step(drawn[:ROWS], order)

        def message(records: Records = records, order: Assignment = order) -> None:
            discriminate(records, order, Randomness())

        def steps(plain: Step = plain) -> None:
            for _ in range(rounds.steps_per_message):
                plain()

        part = f"a site's message of {rounds.steps_per_message} steps, {codes} codes a column"
        yield beside(part, message, "steps without privacy", steps, repeats, (columns, count))


def _times(columns: int, codes: int, rows_per_person: int, repeats: int) -> StepTimes:
    drawn, order = _drawn(ROWS, columns, codes), _order(columns, codes, rows_per_person)
    persons = None if rows_per_person == 1 else np.arange(ROWS) // rows_per_person
    records, trainer = Records(drawn, persons), Trainer(order, Randomness())

    def noise() -> None:
        gaussian(order.weights.size, 1.0, Randomness())

    steps = [_plain_step(drawn, order), lambda: trainer.step(records), noise]
    seconds = [[seconds_of(step) for step in steps] for _ in range(repeats + 1)][1:]
    medians = [1e3 * statistics.median(kind) for kind in zip(*seconds, strict=True)]
    return StepTimes(columns, codes, rows_per_person, *medians)


def _drawn(rows: int, columns: int, codes: int) -> UInt16Array:
    return np.random.default_rng(0).integers(0, codes, (rows, columns)).astype(np.uint16)


def _order(
    columns: int, codes: int, rows_per_person: int, rounds: Rounds | None = None
) -> Assignment:
    """A request for one step on everybody, or for a message of these rounds."""
    widths = (codes,) * columns
    weights = flatten(Discriminator(sum(widths)))
    return Assignment(
        plan=DiscriminatorPlan(
            first_step=1,
            messages=1,
            steps_per_message=rounds.steps_per_message if rounds else 1,
            sampling_rate=rounds.sampling_rate if rounds else 1.0,
            noise_multiplier=1.0,
            expected_batch=ROWS // rows_per_person,
        ),
        views=tuple(np.arange(codes, dtype=np.uint16) for _ in widths),
        widths=widths,
        weights=weights,
        moments=np.zeros(2 * weights.size, np.float32),
        message=0,
        rows_per_person=rows_per_person,
    )


def _plain_step(drawn: UInt16Array, order: Assignment) -> Step:
    """A step of Adam on the mean of all columns' losses, in single precision."""
    network, hot = Discriminator(sum(order.widths)), one_hot(drawn, order.widths)
    adam = torch.optim.Adam(network.parameters())

    def plain() -> None:
        adam.zero_grad()
        loss = -predictions(network, hot, order.widths).mean()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        adam.step()

    return plain


if __name__ == "__main__":
    for times in discriminator_steps():
        print(times, f"{times.ratio:.2f}")
