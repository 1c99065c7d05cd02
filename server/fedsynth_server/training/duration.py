"""About how long a study will compute here: a probe of a second or two, and public numbers.

The probe runs one step of each kind that a training repeats (a fit step, an adversarial step, a step of
the twins, a DP-SGD step with imagined records), at the size that the plan's schema makes likely, and
multiplies by how often the plan repeats it. Nothing in it reads a record.

Good to a factor of two: the number of codes is decided by noisy histograms that do not exist yet, a fit
ends early where noise explains the rest, and other work on the computer comes and goes.
"""

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch

from fedsynth_common.networks import one_hot
from fedsynth_common.protocol.plan import DiscriminatorPlan, Plan
from fedsynth_common.schema import FineDomain, domains
from fedsynth_server.marginals import Marginal
from fedsynth_server.training.adversary import Adversary
from fedsynth_server.training.anchor import Anchor
from fedsynth_server.training.fit import fit, new_generator
from fedsynth_server.training.null import SITES, NullFederation
from fedsynth_server.training.settings import TrainingSettings
from fedsynth_server.training.twins import BATCH, FIRST_STEPS, STEPS, Twins

CODES, CATEGORIES = 24, 32
"""Codes of a wide number and of a long code list, at most (`decoding.binning`)."""
BIN_NOISE = 4.0
"""Records of a bin over the standard deviation of the noise in it, at least (`decoding.binning`)."""
PART = 4
"""The probe takes a part of the latents and of the rows: costs are proportional to them."""
PROBED = 500
"""Records of the probed DP-SGD step, at most."""
SITE = 1.5
"""A site's step against the coordinator's imagined one: double precision, and a draw from records."""
CELL, PAIR = 6e-7, 1.5e-8
"""Seconds to read and encode a cell, and to count a record's pair of columns."""


@dataclass(frozen=True)
class Duration:
    """Seconds of computing, by part.

    Attributes:
        fit: fit and refit of the generator to the marginals.
        rounds: generator, twins and imagined sites between the discriminators' messages.
        site: one site, all its messages.
    """

    fit: float
    rounds: float
    site: float

    def here(self, sites: int = 0) -> float:
        """Seconds at the coordinator, who computes for so many simulated sites too, one by one."""
        return self.fit + self.rounds + sites * self.site


def estimated(plan: Plan, settings: TrainingSettings) -> Duration:
    """How long the plan's parts take on this computer."""
    widths = likely_widths(plan)
    probe = Probe(widths, settings, paired=len(plan.measure) > 1)
    steps = fit_steps(plan, settings)
    columns, records = len(widths), plan.records_per_site
    pairs = columns * (columns - 1) / 2 if len(plan.measure) > 1 else 0
    counting = records * (CELL * columns + PAIR * pairs)
    d = plan.discriminator
    if d is None:
        return Duration(steps * probe.fit_step(), 0.0, counting)
    if len(plan.measure) > 1:
        steps += settings.refit_steps_for(plan.epsilon)
    adversarial, twin, private = probe.round_steps(d)
    taken = d.messages * d.steps_per_message * private
    followed = (FIRST_STEPS + STEPS * d.messages) * twin
    rounds = d.messages * settings.adversarial_steps * adversarial + followed
    rounds += taken * min(len(plan.sites), SITES)
    return Duration(steps * probe.fit_step(), rounds, counting + SITE * taken)


def fit_steps(plan: Plan, settings: TrainingSettings) -> int:
    """Steps after which a fit to pairs is likely to reach its goal; without pairs it takes them all.

    A law of records over noise in a pair's cell, measured on adult, support2 and heart_disease.
    """
    most, columns = settings.steps_for(plan.epsilon), len(plan.table.modelled)
    if len(plan.measure) == 1 or columns == 1 or not settings.enough:
        return most
    signal = math.sqrt(len(plan.sites)) * plan.records_per_site * plan.epsilon
    clear = signal / math.sqrt(columns * (columns - 1) / 2)
    return min(most, round(20 * math.sqrt(clear)) + 1)


def likely_widths(plan: Plan) -> list[int]:
    """Codes per modelled column, as far as the plan's noise leaves them apart (`decoding.binning`)."""
    columns = len(plan.table.modelled)
    counted = columns * (columns - 1) // 2 if len(plan.measure) > 1 else columns
    # standard deviation of the noise in a cell of all sites' counts
    noise = plan.measure[-1].noise_multiplier * math.sqrt(max(1, counted) * len(plan.sites))
    records = plan.records_per_site * len(plan.sites)
    apart = max(2, round(records / (BIN_NOISE * noise * plan.table.rows_per_person)))
    return [_codes(domain, apart) for domain in domains(plan.table)]


def _codes(domain: FineDomain, apart: int) -> int:
    most = CODES if domain.ordered else CATEGORIES
    return domain.width if domain.width <= most else min(most, apart) + (domain.missing is not None)


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
        first = [Marginal(columns=(c,), frequencies=f, variance=1.0) for c, f in enumerate(even)]
        pairs = [
            Marginal(columns=(a, b), frequencies=np.outer(even[a], even[b]), variance=1.0)
            for a, b in combinations(range(len(widths)), 2)
            if paired
        ]
        self._anchor = Anchor([*first, *pairs], widths)
        self._network = new_generator(first, widths, self._settings)

    @property
    def latents(self) -> int:
        """Of the probed generator."""
        return int(self._settings.latents)

    def fit_once(self) -> None:
        """A fit of one step."""
        fit(self._network, self._anchor, 1, 1e-3)

    def adversarial_once(self, hidden: Sequence[int] = (64,)) -> Callable[[], object]:
        """One step against new twins."""
        twins = self._twins(hidden, torch.Generator().manual_seed(0))[0]
        adversary = Adversary(self._network, self._anchor.softened, 1.0, self._settings)
        return lambda: adversary.round(twins)

    def _twins(self, hidden: Sequence[int], source: torch.Generator) -> tuple[Twins, torch.Tensor]:
        """Twins that have learned nothing, and rows for them (BATCH, D)."""
        rng = np.random.default_rng(0)
        codes = np.stack([rng.integers(0, w, BATCH) for w in self._widths], axis=1)
        rows = one_hot(codes.astype(np.uint16), self._widths)
        return Twins(self._widths, hidden, rows, source, first_steps=1), rows

    def fit_step(self) -> float:
        """Seconds of a step of the fit."""
        # `fit` ends with another pass of the generator and of the loss, without a gradient
        return _seconds(self.fit_once) * PART * 0.75

    def round_steps(self, plan: DiscriminatorPlan) -> tuple[float, float, float]:
        """Seconds of a generator's step, of a step of its twin and of a site's DP-SGD step."""
        source = torch.Generator().manual_seed(0)
        twins, rows = self._twins(plan.hidden, source)
        records = min(plan.expected_batch, PROBED)
        small = plan.model_copy(update={"steps_per_message": 1, "expected_batch": records})
        null = NullFederation(copy.deepcopy(twins.records), small, 1, self._widths, source)
        return (
            _seconds(self.adversarial_once(plan.hidden)) * PART,
            _seconds(lambda: twins.follow(rows, steps=1)),
            _seconds(lambda: null.message(rows)) * plan.expected_batch / records,
        )


def _seconds(step: Callable[[], object]) -> float:
    """The shorter of two runs, after one that warms up."""
    step()
    found = []
    for _ in range(2):
        start = time.perf_counter()
        step()
        found.append(time.perf_counter() - start)
    return min(found)


def spoken(seconds: float) -> str:
    """A duration as coarse as it is known.

    >>> spoken(3.2), spoken(70), spoken(1000), spoken(8000)
    ('a few seconds', 'about 1 minute', 'about 17 minutes', 'about 2.2 hours')
    """
    if seconds < 10:
        return "a few seconds"
    if seconds < 55:
        return f"about {round(seconds, -1):.0f} seconds"
    if seconds < 5400:
        minutes = round(seconds / 60)
        return f"about {minutes} minute{'s' if minutes > 1 else ''}"
    return f"about {seconds / 3600:.1f} hours"
