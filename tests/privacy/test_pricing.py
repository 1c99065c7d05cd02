"""Pricing is quick without being another price, and bounded for whatever somebody else names.

`test_accounting.py` says that the prices are right. Here they are those of dp-accounting's own slow
function, a study's mechanisms are kept, and the work is known before it is done.
"""

import math
import subprocess
import sys

import numpy as np
import pytest
from dp_accounting.pld import privacy_loss_distribution as pld

from fedsynth_common.limits import ACCOUNTANT_BYTES, MAX_MEASURES, MAX_MECHANISMS_ASKED
from fedsynth_common.privacy import accounting
from fedsynth_common.privacy.accounting import epsilon, epsilon_rdp, grid_points
from fedsynth_common.privacy.events import MAX_MECHANISMS, CountsEvent, DpSgdEvent, GaussianEvent
from fedsynth_common.privacy.noise import MAX_SCALE, MIN_SCALE, exact_variance

pytestmark = pytest.mark.privacy
SETTINGS = [  # scale, sensitivity, width of the grid
    (MIN_SCALE, 1, 1e-4),
    (MIN_SCALE, 1, 5e-4),
    (0.3, 3, 5e-4),
    (0.8, 2, 5e-4),
    (3.0, 1, 1e-4),
    (12.5, 7, 2e-6),
    (40.0, 1, 1e-4),
    (40.0, 40, 1e-5),
    (1_000.0, 1, 1e-6),
    (3_000.0, 1_000, 1e-4),
    (20_000.0, 3, 1e-7),
    pytest.param(MAX_SCALE, 1, 1e-6, marks=pytest.mark.slow),
    pytest.param(MAX_SCALE, 1_000, 2e-6, marks=pytest.mark.slow),
]


def contents(distribution):
    """All numbers of a distribution: where its grid begins, its masses, and that at infinity."""
    masses = distribution._pmf_remove
    points = getattr(masses, "_loss_probs", None)  # of few points, a dictionary
    if points is not None:
        return list(points), np.array([*points.values()]).tobytes(), masses._infinity_mass
    return masses._lower_loss, masses._probs.tobytes(), masses._infinity_mass


@pytest.mark.parametrize(("scale", "sensitivity", "grid"), SETTINGS)
def test_the_quick_price_of_counts_is_that_of_dp_accounting_bit_for_bit(scale, sensitivity, grid):
    sigma = math.sqrt(exact_variance(scale))
    slow = pld.from_discrete_gaussian_mechanism(
        sigma,
        sensitivity,
        truncation_bound=math.ceil(12 * sigma) + sensitivity,
        value_discretization_interval=grid,
        use_connect_dots=True,
    )
    quick = accounting._discrete_gaussian.__wrapped__(scale, sensitivity, grid)
    assert contents(quick) == contents(slow)
    assert quick._symmetric
    assert slow._symmetric


def test_all_mechanisms_of_a_study_are_kept_for_its_next_step():
    study = [CountsEvent(scale=900.0 + k, sensitivity=1, blocks=4) for k in range(MAX_MECHANISMS)]
    epsilon(study, 1e-5)
    once = accounting._counted.cache_info().misses
    accounting._epsilon.cache_clear()
    epsilon(study, 1e-5)
    assert accounting._counted.cache_info().misses == once


def test_a_plan_cannot_be_charged_with_more_mechanisms_than_are_kept():
    """Each request its variances and sensitivities, what is left of them, and the training."""
    assert MAX_MEASURES * MAX_MECHANISMS_ASKED + 2 == MAX_MECHANISMS


def dp_sgd(rate, multiplier, steps):
    return DpSgdEvent(sampling_rate=rate, noise_multiplier=multiplier, steps=steps)


@pytest.mark.parametrize(
    "event",
    [
        CountsEvent(scale=40.0, sensitivity=1, blocks=120),
        CountsEvent(scale=900.0, sensitivity=3, blocks=26_000),
        GaussianEvent(noise_multiplier=3.0),
        dp_sgd(0.0625, 6.1, 1_000),
        dp_sgd(0.01, 10.0, 100_000),
        pytest.param(dp_sgd(1e-7, 0.5, 100_000), marks=pytest.mark.slow),
    ],
)
def test_the_work_is_known_before_it_is_done(event):
    grid = accounting._grid((event,), epsilon_rdp([event], 1e-5))
    computed = accounting._composed(event, grid)._pmf_remove.size
    if isinstance(event, DpSgdEvent):
        single = accounting._sampled_gaussian(event.sampling_rate, event.noise_multiplier, grid)
        computed += single._pmf_remove.size
    elif isinstance(event, CountsEvent):
        computed += accounting._discrete_gaussian(
            event.scale, event.sensitivity, grid
        )._pmf_remove.size
    assert computed < grid_points([event], 1e-5) < 4 * computed


PLANS_IN_A_ROW = """
import resource
from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.privacy.events import CountsEvent, DpSgdEvent

def price(k, counts):
    step = DpSgdEvent(sampling_rate=1e-7 * (1 + k / 10), noise_multiplier=0.5, steps=10**6 - k)
    wide = [CountsEvent(scale=9e4 + j, sensitivity=1 + j % 5, blocks=26_000) for j in range(counts)]
    epsilon([*wide, step], 1e-5)

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

epsilon([DpSgdEvent(sampling_rate=0.1, noise_multiplier=4.0, steps=10)], 1e-5)
before = peak()
for k, counts in enumerate((0, 0, 0, 20, 20)):
    price(k, counts)
print(1024 * (peak() - before))
"""


@pytest.mark.slow
def test_one_costly_plan_after_another_takes_no_more_memory_than_is_set_aside():
    """Without `_forget_transforms` every plan adds about a hundred MiB."""
    done = subprocess.run(
        [sys.executable, "-c", PLANS_IN_A_ROW], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) < ACCOUNTANT_BYTES
