"""`fedsynth benchmark shadow`: the product's own generator in the game of `shadow_pairs`.

One record that stands out, all other records known to the attacker; generators of complete simulated
studies (vaults, ledger, noise, training, export) with it and without it. Beside them, in the same
game, a generator that leaks on purpose (`leaky_table`): an attack that does not win that proves
nothing. A study at an ε far beyond use is the second control: it shows what the attack finds in the
same generator once the noise is gone.

Advantages carry Clopper-Pearson intervals (`exact_difference`) and stand beside the bound that ε
implies for any attack, (e^ε - 1 + 2δ) / (e^ε + 1). An interval above the bound refutes the guarantee.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from fedsynth_release.evaluation.intervals import exact_difference
from fedsynth_release.evaluation.references import leaky_table
from fedsynth_release.evaluation.results import AttackedTable, Estimate
from fedsynth_release.report.meaning import best_accuracy
from fedsynth_simulations.benchmarks.shadow_games import Wanted, game_of, studies_of
from fedsynth_simulations.benchmarks.tables import BenchmarkTable
from fedsynth_simulations.shadow_pairs import Factory, play

LEAKY = "leaky"


@dataclass(frozen=True, kw_only=True)
class Played:
    """One game.

    Attributes:
        generator: "leaky", or the variant of the studies: "marginals", "both", "gan" or "auto".
        epsilon: of the studies; None for the leaky generator.
        tested: tables with the target that the attacker was asked about, and as many without.
        recognised: of those with the target, called so.
        mistaken: of those without, called so.
        advantage: difference of the two rates.
        bound: on any attack's advantage, by ε and δ; None without them.
        auc: of the attacker's scores.
        epsilon_lower: ln(TPR_low / FPR_high), at least 0.
        seconds: that the game took.
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
        """Whether the advantage lies above the bound beyond its interval."""
        return self.bound is not None and self.advantage.low > self.bound

    @property
    def noticed(self) -> bool:
        """Whether the attack found anything beyond its interval."""
        return self.advantage.low > 0


def play_all(
    table: BenchmarkTable, wanted: Wanted, say: Callable[[str], None] = lambda _: None
) -> Iterator[Played]:
    """The leaky generator's game, then those of the studies; each as soon as it has ended.

    Raises:
        InputError: a column that is not there, too few records, or an ε without a plan.
    """
    game = game_of(table, wanted)
    for name, epsilon, factory in ((LEAKY, None, _leak(wanted.rows)), *studies_of(game, wanted)):
        label = name if epsilon is None else f"{name}, ε = {epsilon:g}"
        start = time.monotonic()
        found = play(game, factory, say=_labelled(label, say))
        yield _played(name, epsilon, wanted.delta, found, time.monotonic() - start)


def _leak(rows: int) -> Factory:
    """The positive control: half of its rows are near copies of records."""
    return lambda frame, seed: leaky_table(frame, rows, np.random.default_rng(seed))


def _labelled(label: str, say: Callable[[str], None]) -> Callable[[str], None]:
    return lambda stage: say(f"{label}: {stage}")


def _played(
    name: str, epsilon: float | None, delta: float, found: AttackedTable, seconds: float
) -> Played:
    tested = found.attacks
    recognised, mistaken = (round(r.value * tested) for r in (found.success, found.control))
    return Played(
        generator=name,
        epsilon=epsilon,
        tested=tested,
        recognised=recognised,
        mistaken=mistaken,
        advantage=exact_difference((recognised, tested), (mistaken, tested)),
        bound=None if epsilon is None else 2 * best_accuracy(epsilon, delta) - 1,
        auc=cast(Estimate, found.auc),
        epsilon_lower=cast(float, found.epsilon_lower),
        seconds=round(seconds, 1),
    )


def too_weak(games: Sequence[Played]) -> bool:
    """Whether the attack did not even notice the leaky generator."""
    return any(game.generator == LEAKY and not game.noticed for game in games)
