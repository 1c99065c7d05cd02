"""The curves of a study: complete, true, and without any say in what comes out."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from small_log_ratio import log_ratio_of_second_code
from small_study import ROUNDS, SETTINGS, make_small_plan, run_seeded

from fedsynth_common.networks import flatten
from fedsynth_release.report import StudyHistory
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.training.adversary import Adversary
from fedsynth_server.training.curves import (
    ACCURACY,
    ADVERSARIAL,
    FIT,
    IN_ROUNDS,
    LINES,
    OUTPUT,
    REFIT,
    Recorder,
)
from fedsynth_server.training.fit import fit, new_generator
from fedsynth_server.training.marginal_loss import MarginalLoss
from fedsynth_server.training.rounds import note_verdict
from fedsynth_server.training.settings import TrainingSettings

WIDTHS = (2, 3)
PAIR = np.array([[0.4, 0.05, 0.05], [0.05, 0.05, 0.4]])
MEASURED = [
    MarginalEstimate(columns=columns, frequencies=frequencies, variance=1e-6)
    for columns, frequencies in (((0,), PAIR.sum(1)), ((1,), PAIR.sum(0)), ((0, 1), PAIR))
]
SMALL = TrainingSettings(
    latents=64, latent_size=8, hidden=16, adversarial_steps=5, adversarial_batch=32
)
STEPS = ROUNDS.messages * SETTINGS.adversarial_steps


@pytest.fixture(scope="module", params=["both", "gan", "marginals"])
def study(request):
    plan = make_small_plan(request.param)
    return request.param, run_seeded(plan), plan


def by_name(outcome):
    return {curve.name: curve for curve in outcome.curves}


# --- what is recorded ----------------------------------------------------------------------------


def test_each_variant_has_the_curves_of_its_training(study):
    variant, outcome, _ = study
    rounds = [IN_ROUNDS, ADVERSARIAL, OUTPUT, ACCURACY]
    expected = {
        "both": list(LINES),
        "gan": [FIT, *rounds],  # one-way marginals alone: nothing is refitted
        "marginals": [FIT],
    }[variant]
    assert set(by_name(outcome)) == {line.name for line in expected}
    for line in expected:
        curve = by_name(outcome)[line.name]
        shown = (curve.panel, curve.unit, curve.x, curve.note)
        assert shown == (line.panel, line.unit, line.x, line.note)


def test_every_curve_is_finite_and_no_step_comes_twice(study):
    for curve in study[1].curves:
        assert np.isfinite(curve.values).all()
        assert all(before < after for before, after in pairwise(curve.steps))
        assert len(curve.steps) <= 201


def test_the_curves_span_the_whole_training(study):
    variant, outcome, _ = study
    spans = {c.name: (c.steps[0], c.steps[-1]) for c in outcome.curves}
    first, last = spans["fit"]
    assert first == 0 < last <= max(SETTINGS.fit_steps, SETTINGS.network_steps)
    if variant != "marginals":
        assert spans["rounds"] == spans["adversarial loss"] == (0, STEPS - 1)
        assert spans[OUTPUT.name] == spans[ACCURACY.name] == (1, ROUNDS.messages)
    if variant == "both":
        assert spans["refit"][0] == STEPS
        assert spans["refit"][1] <= STEPS + SETTINGS.fit_steps


def test_the_ends_are_the_losses_of_the_outcome(study):
    variant, outcome, _ = study
    before, after = outcome.marginal_losses
    assert by_name(outcome)["fit"].values[-1] == pytest.approx(before, rel=1e-5)
    if variant != "marginals":  # the rounds begin where the fit ended, in the same unit
        assert by_name(outcome)["rounds"].values[0] == pytest.approx(before, rel=1e-4)
    if variant == "both":
        assert by_name(outcome)["refit"].values[-1] == pytest.approx(after, rel=1e-5)


def test_what_the_discriminator_says_are_shares(study):
    for line in (OUTPUT, ACCURACY):
        if line.name in by_name(study[1]):
            assert all(0 <= value <= 1 for value in by_name(study[1])[line.name].values)


def test_the_same_replies_give_the_same_curves(study):
    _, outcome, plan = study
    assert run_seeded(plan).curves == outcome.curves


def test_a_history_keeps_them(study, tmp_path):
    history = study[1].history({"fit generator": 1.5})
    (tmp_path / "history.json").write_text(history.to_json())
    read = StudyHistory.load(tmp_path / "history.json")
    assert read == history
    assert read.curves == study[1].curves
    assert read.notes == tuple(study[1].notes)


# --- the parts -----------------------------------------------------------------------------------


def test_a_fit_that_learns_falls():
    recorder, network = Recorder(), new_generator(MEASURED[:2], WIDTHS, SMALL)
    last = fit(
        network,
        MarginalLoss(MEASURED, WIDTHS),
        200,
        1e-2,
        None,
        lambda i, v: recorder.add(FIT, i, v),
    )
    (curve,) = recorder.curves()
    assert (curve.steps[0], curve.steps[-1]) == (0, 200)
    assert curve.values[-1] == pytest.approx(last, rel=1e-5)
    assert curve.values[-1] < curve.values[0] / 100
    assert np.median(curve.values[100:]) < np.median(curve.values[:100])


def test_recording_changes_no_weight_and_draws_nothing():
    ends = []
    for record in (None, lambda i, v: Recorder().add(FIT, i, v)):
        torch.manual_seed(4)
        network = new_generator(MEASURED[:2], WIDTHS, SMALL)
        fit(network, MarginalLoss(MEASURED, WIDTHS), 20, 1e-2, None, record)
        ends.append((flatten(network).tobytes(), torch.get_rng_state().numpy().tobytes()))
    assert ends[0] == ends[1]


def test_the_verdict_is_that_on_the_rows():
    logits = torch.tensor([4.0] * 2 + [-4.0] * 6)  # two of eight rows look real
    recorder, state = Recorder(), torch.get_rng_state()
    note_verdict(recorder, 3, logits)
    output, accuracy = recorder.curves()
    real = 1 / (1 + np.exp(-4))
    assert (output.steps, accuracy.steps) == ((3,), (3,))
    assert output.values[0] == pytest.approx(0.25 * real + 0.75 * (1 - real), rel=1e-5)
    assert accuracy.values[0] == 0.75
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_round_tells_its_losses(weight):
    network = new_generator(MEASURED[:2], WIDTHS, SMALL)
    marginal_loss = MarginalLoss(MEASURED, WIDTHS)
    start = float(marginal_loss.loss(network.soft_rows().detach()))
    losses = Adversary(network, marginal_loss.excess, weight, SMALL).round(
        log_ratio_of_second_code(WIDTHS, 4.0)
    )
    assert len(losses) == 5
    assert losses[0].marginal / marginal_loss.excess_scale == pytest.approx(start, rel=1e-5)
    if weight:
        assert all(-4.1 < seen.adversarial < 4.1 for seen in losses)
        assert losses[-1].adversarial < losses[0].adversarial
    else:
        assert all(seen.adversarial is None for seen in losses)  # the control asks no discriminator


def test_what_is_not_finite_is_left_out_and_long_lines_are_thinned():
    recorder = Recorder()
    for step in range(3000):
        recorder.add(FIT, step, float("nan") if step % 7 == 0 else 1 / (step + 3))
    recorder.add(REFIT, 0, float("inf"))
    (curve,) = recorder.curves()
    assert curve.name == "fit"
    assert len(curve.steps) <= 201
    assert (curve.steps[0], curve.steps[-1]) == (1, 2999)
    assert all(step % 7 for step in curve.steps)
    assert Recorder().curves() == ()
