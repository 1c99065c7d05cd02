"""`fedsynth benchmark shadow` plays the game of `shadow_pairs` with fedsynth's own generators.

The target is a record that differs from all others, and the attacker knows all other records.
Generators of complete simulated studies (vaults, ledger, noise, training, export) are made with the
target and without it. There are two controls. One is a generator that leaks on purpose
(`leaky_table`); if the attack does not succeed on it, the attack proves nothing. The other is a
study with a very large ε; it shows what the attack finds in the same generator when there is hardly
any noise.

Every advantage has its Clopper-Pearson interval (`exact_difference`) and stands beside the bound
that ε implies for any attack, (e^ε - 1 + 2δ) / (e^ε + 1). An interval above the bound refutes the
guarantee.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from fedsynth_common.promise.meaning import best_accuracy
from fedsynth_release.evaluation.attack_results import AttackedTable
from fedsynth_release.evaluation.intervals import exact_difference
from fedsynth_release.evaluation.references import leaky_table
from fedsynth_release.evaluation.result_parts import Estimate
from fedsynth_simulations.benchmarks.shadow_games import Wanted, game_of, studies_of
from fedsynth_simulations.benchmarks.tables import BenchmarkTable
from fedsynth_simulations.shadow_pairs import Factory, play

LEAKY = "leaky"


@dataclass(frozen=True, kw_only=True)
class Played:
    """The result of one game.

    Attributes:
        generator: "leaky", or the variant of the studies: "marginals", "both", "gan" or "auto".
        epsilon: the ε of the studies; None for the leaky generator.
        tested: the number of tables with the target, and of those without it, that the attacker
            was tested on.
        recognised: how many tables with the target the attacker recognised.
        mistaken: how many tables without the target the attacker mistook for tables with it.
        advantage: the difference of the two rates.
        bound: the bound of any attack's advantage, by ε and δ; None without them.
        auc: the AUC of the attacker's scores.
        epsilon_lower: ln(TPR_low / FPR_high), at least 0.
        seconds: how long the game took.
    """

    generator: str
    epsilon: float | None
    tested: int
    recognised: int
    mistaken: int
    advantage: Estimate
    bound: float | None
    auc: Estimate
    epsilon_lower: float
    seconds: float

    @property
    def refuted(self) -> bool:
        """Whether the whole interval of the advantage lies above the bound."""
        return self.bound is not None and self.advantage.low > self.bound

    @property
    def noticed(self) -> bool:
        """Whether the whole interval of the advantage lies above 0."""
        return self.advantage.low > 0


def play_all(
    table: BenchmarkTable, wanted: Wanted, say: Callable[[str], None] = lambda _: None
) -> Iterator[Played]:
    """Play the game of the leaky generator and then those of the studies; yield each result.

    Raises:
        InputError: a column is missing, there are too few records, or no plan exists for an ε.
    """
    game = game_of(table, wanted)
    for name, epsilon, factory in ((LEAKY, None, _leak(wanted.rows)), *studies_of(game, wanted)):
        label = name if epsilon is None else f"{name}, ε = {epsilon:g}"
        start = time.monotonic()
        result = play(game, factory, say=_labelled(label, say))
        yield _played(name, epsilon, wanted.delta, result, time.monotonic() - start)


def _leak(rows: int) -> Factory:
    """The positive control, in which half of the rows are near copies of records."""
    return lambda frame, seed: leaky_table(frame, rows, np.random.default_rng(seed))


def _labelled(label: str, say: Callable[[str], None]) -> Callable[[str], None]:
    return lambda stage: say(f"{label}: {stage}")


def _played(
    name: str, epsilon: float | None, delta: float, result: AttackedTable, seconds: float
) -> Played:
    tested = result.attacks
    recognised, mistaken = (round(r.value * tested) for r in (result.success, result.control))
    return Played(
        generator=name,
        epsilon=epsilon,
        tested=tested,
        recognised=recognised,
        mistaken=mistaken,
        advantage=exact_difference((recognised, tested), (mistaken, tested)),
        bound=None if epsilon is None else 2 * best_accuracy(epsilon, delta) - 1,
        auc=cast(Estimate, result.auc),
        epsilon_lower=cast(float, result.epsilon_lower),
        seconds=round(seconds, 1),
    )


def too_weak(games: Sequence[Played]) -> bool:
    """Whether the attack did not notice the leaky generator."""
    return any(game.generator == LEAKY and not game.noticed for game in games)
