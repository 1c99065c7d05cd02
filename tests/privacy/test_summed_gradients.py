"""Training in a secure sum: what a unit moves, the noise of all shares, the cost (claim 24)."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.stats import binom, chi2, norm
from small_site import Site, make_records
from summed_training import STEP, TrainingSites, make_training_plan

from fedsynth_client.budget.receipts import new_key
from fedsynth_client.vault import discriminate as vault_side
from fedsynth_client.vault.assignment import slack_of
from fedsynth_client.vault.checks import assignment_of
from fedsynth_client.vault.discriminate import Trainer
from fedsynth_common.errors import InputError
from fedsynth_common.privacy import PrivacyError, gradient_sum
from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.privacy.events import LEAST_SHARE, DpSgdEvent, merged
from fedsynth_common.privacy.gradient_sum import (
    GradientUnits,
    gradient_units,
    noisy_units,
)
from fedsynth_common.privacy.noise import MAX_SCALE
from fedsynth_common.privacy.randomness import Randomness, SeededRandomness
from fedsynth_common.privacy.secure_noise import alone, at_sites
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.plan import Plan

pytestmark = pytest.mark.privacy
NOBODY = 1e-9
"""A sampling rate at which nobody is drawn: the answer is noise alone."""


def exact_units(total, clipping_norm, units, monkeypatch):
    """The whole numbers before the noise."""
    monkeypatch.setattr(gradient_sum, "noisy_counts", lambda counts, scale, randomness: counts)
    return noisy_units(total, clipping_norm, units, 2**62, Randomness())


# what one unit moves


@pytest.mark.parametrize("clipping_norm", [0.3, 1.0, 7.0])
def test_a_unit_moves_the_whole_numbers_by_no_more_than_is_charged(clipping_norm, monkeypatch):
    rng = np.random.default_rng(0)
    for parameters in (1, 10, 1_000):
        units = gradient_units(2.0, 3, parameters, 1e-6)
        limit = units.per_norm * (1 + 1e-6) + 1.01 * math.sqrt(parameters)
        for size in (0.0, 1e3, 1e9):
            before = rng.normal(0, size, parameters)
            gradient = rng.normal(size=parameters)
            gradient *= clipping_norm / np.linalg.norm(gradient)
            one, other = (
                exact_units(total, clipping_norm, units, monkeypatch)
                for total in (before, before + gradient)
            )
            assert np.linalg.norm((one - other).astype(float)) <= limit


def test_rounding_is_counted_in_full(monkeypatch):
    """Each coordinate crosses a boundary: the worst case is reached."""
    units = GradientUnits(4, 1)
    total, step = np.full(10_000, 0.499 / 4), np.full(10_000, 0.002 / 4)
    one, other = (exact_units(t, 1.0, units, monkeypatch) for t in (total, total + step))
    assert np.linalg.norm((one - other).astype(float)) == 100.0


@pytest.mark.parametrize("multiplier", [0.5, 2.0, 40.0])
@pytest.mark.parametrize("shares", [2, 16])
def test_the_shares_together_have_the_noise_that_is_charged(multiplier, shares):
    units = gradient_units(multiplier, shares, 20_000, 1e-6)
    moved = units.per_norm * (1 + 1e-6) + 1.01 * math.sqrt(20_000)
    assert units.share_variance * shares >= (multiplier * moved) ** 2 + LEAST_SHARE
    # and one share alone has that of its event, with the whole allowance for discrete noise
    (own,) = alone(
        [DpSgdEvent(sampling_rate=0.1, noise_multiplier=multiplier, steps=1, shares=shares)]
    )
    assert units.share_variance >= (own.noise_multiplier * moved) ** 2 + LEAST_SHARE
    assert math.sqrt(units.share_variance) <= MAX_SCALE


def test_noise_that_cannot_be_drawn_is_refused():
    with pytest.raises(PrivacyError, match="too much"):
        gradient_units(1e6, 2, 20_000, 1e-6)


def test_discrete_noise_is_gaussian_noise_that_is_rounded_at_random():
    """Peikert 2010, Theorem 3.1, computed: whatever the mean, also one that is no whole number."""
    wide, points = 30.0, np.arange(-120, 121)
    for mean in (0.0, 3.0):
        grid = np.linspace(-130, 130, 260_001)
        density = norm.pdf(grid, mean, math.sqrt(wide))
        kernel = np.exp(-((points[:, None] - grid) ** 2) / (2 * LEAST_SHARE))
        lattice = np.arange(-400, 401)
        whole = np.exp(-((lattice[:, None] - (grid % 1)) ** 2) / (2 * LEAST_SHARE)).sum(0)
        made = (kernel / whole * density).sum(1) * (grid[1] - grid[0])
        discrete = np.exp(-((points - mean) ** 2) / (2 * (wide + LEAST_SHARE)))
        discrete /= discrete.sum()
        near = np.abs(points - mean) < 40
        assert made[near] == pytest.approx(discrete[near], rel=1e-9)


# the vaults


@pytest.fixture(scope="module")
def noise():
    """Sums over four sites of which nobody is drawn."""
    sums = []
    for _ in range(6):
        sites = TrainingSites.of(4, sampling_rate=NOBODY)
        sums += [sites.opened_gradient(step) for step in (STEP, STEP + 1)]
    return sites, np.concatenate(sums)


def test_the_noise_of_an_opened_gradient_has_its_variance(noise):
    sites, found = noise
    size = sites.sites[0].parameters
    units = gradient_units(2.0, 3, size, 1e-6)
    squares, expected = float(np.square(found.astype(float)).sum()), 4 * units.share_variance
    low, high = chi2.ppf([1e-6, 1 - 1e-6], found.size)
    assert low < squares / expected < high
    assert not low < squares / (expected / 2) < high
    moved = units.per_norm + math.sqrt(size)
    assert (
        squares / found.size > (2.0 * moved) ** 2
    )  # more than the plan's noise: four shares of three


def test_the_sum_is_that_of_the_sites_clipped_sums(monkeypatch):
    monkeypatch.setattr(gradient_sum, "noisy_counts", lambda counts, scale, randomness: counts)
    sites = TrainingSites.of(4, sampling_rate=1.0, masked_columns=3)  # everybody, all columns
    opened = sites.opened_gradient()
    size, expected = sites.sites[0].parameters, 0
    units = gradient_units(2.0, 3, size, 1e-6)
    order = assignment_of(sites.training_request(), sites.plan, sites.schema)
    for party in range(4):
        total = Trainer(order, SeededRandomness(0)).clipped_sum(make_records(seed=party))
        assert np.linalg.norm(total) > 1
        expected = expected + np.rint(total * units.per_norm)
    assert np.abs(opened - expected).max() <= 1  # sums of another order may round to the other side


def test_what_is_charged_is_the_training_of_all_shares():
    sites = TrainingSites.of(4)
    assert sites.answers()[0].status == "OK"
    (charge,) = sites.ledgers[0].charged()
    assert charge.events == (
        DpSgdEvent(sampling_rate=0.25, noise_multiplier=2.0, steps=1, shares=3),
    )
    assert merged(sites.plan.planned_events())[-1].shares == 3


def test_what_a_vault_sends_has_one_length_and_is_masked():
    sizes, words = set(), []
    for rows in (1, 300):
        sites = TrainingSites.of(4)
        sites.sites[0].vault._records = make_records(rows)
        reply = sites.answers([0])[0]
        sizes.add(len(reply.SerializeToString()))
        words.append(np.frombuffer(reply.sums, "<i8").astype(float))
        assert (reply.weights, reply.moments) == (b"", b"")
    assert len(sizes) == 1
    assert all(np.abs(part).mean() > 2**61 for part in words)  # uniform over 64 bits


def test_training_is_answered_under_masks_or_not_at_all():
    sites = TrainingSites.of(4)
    assert sites.sealed
    bare = sites.training_request(parties=())
    assert sites.call(0, "discriminate", bare).status == "ERR_PAYLOAD"
    moments = sites.training_request(moments=bytes(8 * sites.sites[0].parameters))
    assert sites.call(0, "discriminate", moments).status == "ERR_PAYLOAD"
    few = sites.training_request(parties=(0, 1))
    assert sites.call(0, "discriminate", few).status == "ERR_POLICY"
    assert sites.ledgers[0].head()[0] == 0
    local = Site().enrolled()
    masked = local.discriminate_request(parties=b"\0\0\1\0\2\0")
    assert local.vault.discriminate(masked).status == "ERR_PAYLOAD"


def test_a_training_step_is_answered_once_under_one_set_of_parties():
    sites = TrainingSites.of(4)
    first = sites.answers([0])[0]
    assert sites.answers([0])[0] == first
    other = sites.training_request(parties=(0, 1, 2))
    assert sites.call(0, "discriminate", other).status == "ERR_CONFLICT"
    assert len(sites.ledgers[0].charged()) == 1


def test_the_receipt_names_the_sums_of_gradients():
    sites = TrainingSites.of(4)
    sites.opened_gradient()
    reply = sites.call(0, "receipt", pb.ReceiptRequest(plan_digest=sites.digest))
    assert b'"sums":[{"masked":4,"opened":4,"step":3}]' in reply.receipt_json


def test_the_rounding_that_sites_and_noise_know_is_the_same():
    sites = TrainingSites.of(4)
    order = assignment_of(sites.training_request(), sites.plan, sites.schema)
    assert slack_of(order) == 1e-6
    assert vault_side.gradient_units is gradient_units


# the plan and its price


def test_a_message_of_a_secure_sum_is_one_step():
    keys = [new_key() for _ in range(4)]
    with pytest.raises(ValueError, match="steps_per_message: is 1 in a secure sum"):
        make_training_plan(keys, steps_per_message=2)
    with pytest.raises(ValueError, match="at most 2498 for a sum of 4 sites"):
        make_training_plan(keys, messages=2_499)
    text = make_training_plan(keys).to_json().decode()
    with pytest.raises(InputError, match="steps_per_message"):
        Plan.from_json(text.replace('"steps_per_message":1', '"steps_per_message":3'))


def test_alone_a_site_has_its_own_share_of_the_noise_on_gradients():
    event = DpSgdEvent(sampling_rate=0.25, noise_multiplier=6.0, steps=48, shares=4)
    (own,) = alone([event])
    assert (own.noise_multiplier, own.shares) == (3.0, 1)
    assert epsilon([own], 1e-5) > 1.8 * epsilon([event], 1e-5)
    other = dataclasses.replace(event, shares=2)
    assert set(merged([event, other])) == {event, other}


@pytest.mark.parametrize("sites", [2, 4])
@pytest.mark.parametrize(("rate", "multiplier"), [(0.1, 2.0), (0.5, 1.5), (1.0, 3.0)])
def test_a_person_at_m_sites_is_covered_by_the_event_that_is_priced(sites, rate, multiplier):
    """The true pair is N(0) and the mixture over how many of the sites draw the person."""
    event = DpSgdEvent(sampling_rate=rate, noise_multiplier=multiplier, steps=1, shares=4)
    (priced,) = at_sites([event], sites)
    weights = binom.pmf(np.arange(sites + 1), sites, rate)

    def gap(limit):
        """The hockey-stick divergence of the mixture from the centre, and back (P - e^ε Q)+."""
        x = np.linspace(-40, 40, 800_001) * multiplier / 2
        centre = norm.pdf(x, 0, multiplier)
        mixture = sum(w * norm.pdf(x, j, multiplier) for j, w in enumerate(weights))
        width = x[1] - x[0]
        both = (mixture, centre), (centre, mixture)
        return max(np.maximum(p - math.exp(limit) * q, 0).sum() * width for p, q in both)

    for delta in (1e-2, 1e-4):
        assert gap(epsilon([priced], delta)) <= delta
