"""How long one step of each kind takes on this computer: the real code, at a part of its size."""

import copy
import time
from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
import torch

from fedsynth_common.array_types import UInt16Array
from fedsynth_common.protocol.plan import DiscriminatorPlan
from fedsynth_release.generator_network import GeneratorNetwork
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.training.adversary import Adversary
from fedsynth_server.training.fit import fit, new_generator
from fedsynth_server.training.log_ratio import BATCH, LogRatio
from fedsynth_server.training.marginal_loss import MarginalLoss
from fedsynth_server.training.mixture_fit import fit_mixture, new_mixture
from fedsynth_server.training.null_training import NullTraining
from fedsynth_server.training.predictor_pass import by_column
from fedsynth_server.training.settings import TrainingSettings

PART = 4
"""The probe takes a part of the latents and of the rows: costs are proportional to them."""
PROBED = 500
"""Records of the probed DP-SGD step, at most."""


class Probe:
    """One step of each kind, at a part of its size."""

    def __init__(self, widths: list[int], settings: TrainingSettings, *, paired: bool) -> None:
        self._widths = widths
        self._settings = settings.model_copy(
            update={
                "latents": max(16, settings.latents // PART),
                "adversarial_batch": max(2, settings.adversarial_batch // PART),
                "adversarial_steps": 1,
            }
        )
        even = [np.full(width, 1 / width) for width in widths]
        first = [
            MarginalEstimate(columns=(c,), frequencies=f, variance=1.0) for c, f in enumerate(even)
        ]
        pairs = [
            MarginalEstimate(columns=(a, b), frequencies=np.outer(even[a], even[b]), variance=1.0)
            for a, b in combinations(range(len(widths)), 2)
            if paired
        ]
        self._loss = MarginalLoss([*first, *pairs], widths)
        self._first = first

    @property
    def latents(self) -> int:
        """Of the probed generator."""
        return int(self._settings.latents)

    def fit_once(self) -> Callable[[], object]:
        """A fit of one step."""
        mixture = new_mixture(self._first, self._widths, self._settings)
        return lambda: fit_mixture(mixture, self._loss, 1)

    def adversarial_once(self, hidden: Sequence[int] = (64,)) -> Callable[[], object]:
        """One step against a new log ratio."""
        log_ratio = self._log_ratio(hidden, torch.Generator().manual_seed(0))[0]
        adversary = Adversary(self._network(), self._loss.excess, 1.0, self._settings)
        return lambda: adversary.round(log_ratio)

    def _network(self) -> GeneratorNetwork:
        return new_generator(self._first, self._widths, self._settings)

    def _log_ratio(
        self, hidden: Sequence[int], source: torch.Generator
    ) -> tuple[LogRatio, UInt16Array]:
        """Predictors that have learned nothing, and rows for them (BATCH, columns)."""
        rng = np.random.default_rng(0)
        drawn = [rng.integers(0, w, BATCH, dtype=np.uint16) for w in self._widths]
        codes = np.stack(drawn, axis=1)
        return LogRatio(self._widths, hidden, by_column(codes), source, first_steps=1), codes

    def fit_step(self) -> float:
        """Seconds of a step of the fit."""
        # a fit ends with another pass of the loss, without a gradient
        return _seconds(self.fit_once()) * PART * 0.75

    def network_step(self) -> float:
        """Seconds of a step of the network's fit before the rounds, which ends in the same way."""
        network = self._network()
        return _seconds(lambda: fit(network, self._loss, 1, 1e-3)) * PART * 0.75

    def round_steps(self, plan: DiscriminatorPlan) -> tuple[float, float, float]:
        """Seconds of a generator's step, of a step of its predictor and of a site's DP-SGD step."""
        source = torch.Generator().manual_seed(0)
        log_ratio, codes = self._log_ratio(plan.hidden, source)
        rows = by_column(codes)
        records = min(plan.expected_batch, PROBED)
        small = plan.model_copy(update={"steps_per_message": 1, "expected_batch": records})
        null = NullTraining(
            copy.deepcopy(log_ratio.record_predictor), small, 1, self._widths, source
        )
        return (
            _seconds(self.adversarial_once(plan.hidden)) * PART,
            _seconds(lambda: log_ratio.follow(rows, steps=1)),
            _seconds(lambda: null.message(codes)) * plan.expected_batch / records,
        )


def _seconds(step: Callable[[], object]) -> float:
    """The shorter of two runs, after one that warms up."""
    step()
    return shorter_of_two(step)


def shorter_of_two(step: Callable[[], object]) -> float:
    """Seconds of the shorter of two runs."""
    found = []
    for _ in range(2):
        start = time.perf_counter()
        step()
        found.append(time.perf_counter() - start)
    return min(found)
