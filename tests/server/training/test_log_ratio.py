"""The log_ratio: equal at the start, one follows the generator, their difference is a discriminator."""

import numpy as np
import pytest
import torch

from fedsynth_common.networks import flatten, load_flat
from fedsynth_server.training.log_ratio import LogRatio
from fedsynth_server.training.predictor_pass import PredictorPass

WIDTHS = (3, 3, 2)


def rows(agreeing, n=4_000, seed=0):
    """Two columns of three codes that agree in the given share of rows, and one of noise."""
    rng = np.random.default_rng(seed)
    first, other = rng.integers(0, 3, (2, n))
    second = np.where(rng.random(n) < agreeing, first, other)
    return torch.from_numpy(np.stack([first, second, rng.integers(0, 2, n)]))


def new_log_ratio(agreeing=0.0, seed=0, steps=600):
    source = torch.Generator().manual_seed(seed)
    log_ratio = LogRatio(WIDTHS, (16,), rows(agreeing), source, steps)
    log_ratio.signal_share.fill_(1.0)
    return log_ratio


def test_both_start_with_what_the_generator_knows_and_no_verdict():
    log_ratio = new_log_ratio(agreeing=0.9)
    assert log_ratio.logits(rows(0.9, 50)).tolist() == [0.0] * 50
    agree = torch.tensor([[0, 1, 2], [0, 1, 2], [0, 0, 0]])
    found = PredictorPass(log_ratio.record_predictor, agree, WIDTHS).chosen()[1].exp()
    assert found.tolist() == pytest.approx([0.9 + 0.1 / 3] * 3, abs=0.05)


def test_one_follows_the_generator_and_the_other_stays():
    log_ratio = new_log_ratio()
    before = flatten(log_ratio.record_predictor)
    for _ in range(20):
        log_ratio.follow(rows(0.9, seed=1))
    assert (flatten(log_ratio.record_predictor) == before).all()
    assert (flatten(log_ratio.generator_predictor) != before).any()
    assert (
        float(log_ratio.logits(rows(0.9, seed=2)).mean()) < -0.5
    )  # its rows agree, records did not


def test_the_verdict_is_the_log_ratio_of_the_conditional_distributions():
    """On average over seeds: one predictor is up to a nat off for codes as rare as these."""
    agree = torch.tensor([[1, 0], [1, 2], [0, 1]])
    same, other = np.log((0.9 + 0.1 / 3) * 3), np.log(0.1 / 3 * 3)
    expected = [2 * same, 2 * other]  # each of the two columns says it once, the third nothing
    found = []
    for seed in range(3):
        records, generator = new_log_ratio(agreeing=0.9, seed=seed + 10), new_log_ratio(seed=seed)
        load_flat(generator.record_predictor, flatten(records.record_predictor))
        found.append(generator.logits(agree).tolist())
    assert np.mean(found, axis=0).tolist() == pytest.approx(expected, abs=0.5)
    before = generator.logits(agree)
    assert generator.slopes(agree)[0] == pytest.approx(float(generator.logits(agree).mean()))
    generator.signal_share[0] = 0.0
    half = before / 2  # the other column says the same
    assert generator.logits(agree).tolist() == pytest.approx(half.tolist(), abs=0.5)


def test_they_repeat_with_the_seed_alone():
    ends = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        log_ratio = new_log_ratio(steps=20)
        log_ratio.follow(rows(0.5), steps=20)
        ends.append(flatten(log_ratio.generator_predictor))
    assert (ends[0] == ends[1]).all()
    assert not (
        flatten(new_log_ratio(seed=1, steps=20).generator_predictor)
        == flatten(new_log_ratio(steps=20).generator_predictor)
    ).all()
