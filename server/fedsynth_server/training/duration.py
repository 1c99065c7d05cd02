"""About how long a study will compute here: a probe of a second or two, and public numbers.

The probe runs one step of each kind that a training repeats (a fit step, an adversarial step, a step of
the generator's predictor, a DP-SGD step of null training), at the size that the plan's schema makes
likely, and multiplies by how often the plan repeats it. Nothing in it reads a record.

It cannot be exact: the number of codes is decided by noisy histograms that do not exist yet, and a fit
ends early where noise explains the rest. Other work on the computer is not in it.
"""

import math
from dataclasses import dataclass

from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import FineDomain, domains
from fedsynth_server.training.log_ratio import STEPS
from fedsynth_server.training.null_training import SIMULATED
from fedsynth_server.training.probe import Probe
from fedsynth_server.training.rounds import in_rounds
from fedsynth_server.training.settings import TrainingSettings

CODES, CATEGORIES = 24, 32
"""Codes of a wide number and of a long code list, at most (`aggregation.binning`)."""
BIN_NOISE = 4.0
"""Records of a bin over the standard deviation of the noise in it, at least (`aggregation.binning`)."""
SCREENED_FITS = 3
"""Fits to pairs that take as long as those of a study with a screening: one before it, one after."""
SITE = 1.5
"""How much longer a site's step takes than a simulated one of null training.

A site computes in double precision and draws a sample of its records.

Measured in turn at the shapes of diabetes130, credit, exclusive_ors and Adult: 1.24, 1.40, 1.56, 1.61.
"""
CELL, PAIR = 6e-7, 1.5e-8
"""Seconds to read and encode a cell, and to count a record's pair of columns."""


@dataclass(frozen=True)
class Duration:
    """Seconds of computing, by part.

    Attributes:
        fit: fit and refit of the generator to the marginals.
        rounds: generator, predictors and null training between the discriminators' messages.
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
        fits = SCREENED_FITS if plan.screens else 1
        return Duration(fits * steps * probe.fit_step(), 0.0, counting)
    fitting = settings.network_steps * probe.network_step()
    if len(plan.measure) > 1:
        fitting += steps * probe.fit_step()
    adversarial, predictor, private = probe.round_steps(d)
    taken = d.messages * d.steps_per_message * private
    summed, sites = plan.secure_sum is not None, len(plan.sites)
    turns = len(in_rounds(d, summed))
    followed = (settings.predictor_steps + STEPS * turns) * predictor
    rounds = turns * settings.adversarial_steps * adversarial + followed
    rounds += taken * (sites if summed else min(sites, SIMULATED))
    return Duration(fitting, rounds, counting + SITE * taken)


def fit_steps(plan: Plan, settings: TrainingSettings) -> int:
    """Steps after which a fit to pairs is likely to reach its target loss; all steps without pairs.

    The number follows from the records over the noise in a pair's cell. How it does was measured on
    five tables at ε = 1, 3 and 10: between half and twice the number.
    """
    most, columns = settings.fit_steps, len(plan.table.modelled)
    if len(plan.measure) == 1 or columns == 1 or not settings.enough:
        return most
    together = math.sqrt(len(plan.sites) * plan.noise_shares)
    signal = together * plan.records_per_site * plan.epsilon
    clear = signal / math.sqrt(columns * (columns - 1) / 2)
    return min(most, 1 + round(2 * math.pow(clear, 0.62)))


def likely_widths(plan: Plan) -> list[int]:
    """Codes per modelled column, as far as the noise leaves them apart (`aggregation.binning`)."""
    columns = len(plan.table.modelled)
    counted = columns * (columns - 1) // 2 if len(plan.measure) > 1 else columns
    # standard deviation of the noise in a cell of all sites' counts
    pairs_or_all = plan.measure[min(1, len(plan.measure) - 1)]
    made = max(1, counted) * len(plan.sites) / plan.noise_shares
    noise = pairs_or_all.noise_multiplier * math.sqrt(made)
    records = plan.records_per_site * len(plan.sites)
    apart = max(2, round(records / (BIN_NOISE * noise * plan.table.rows_per_person)))
    return [codes_apart(domain, apart) for domain in domains(plan.table)]


def codes_apart(domain: FineDomain, apart: int) -> int:
    """Codes of a column, of which noise leaves so many apart."""
    most = CODES if domain.ordered else CATEGORIES
    return domain.width if domain.width <= most else min(most, apart) + (domain.missing is not None)


def spoken(seconds: float) -> str:
    """A duration in words, rounded as coarsely as it is known.

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
