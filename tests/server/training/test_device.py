"""The generator trains where it is told to, with the same result; a missing device is refused."""

import numpy as np
import pytest
import torch
from command import fedsynth
from small_log_ratio import log_ratio_of_second_code

from fedsynth_common.errors import InputError
from fedsynth_release.generator_mixture import GeneratorMixture
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.training.adversary import Adversary
from fedsynth_server.training.fit import fit, new_generator
from fedsynth_server.training.log_ratio import LogRatio
from fedsynth_server.training.marginal_loss import MarginalLoss
from fedsynth_server.training.mixture_fit import calibrate, fit_mixture
from fedsynth_server.training.settings import TrainingSettings

WIDTHS = (2, 3)
HERE = torch.cuda.is_available()
FIRST = [
    MarginalEstimate(columns=(c,), frequencies=np.full(width, 1 / width), variance=1e-4)
    for c, width in enumerate(WIDTHS)
]
PAIR = MarginalEstimate(
    columns=(0, 1), frequencies=np.array([[0.3, 0.1, 0.1], [0.0, 0.3, 0.2]]), variance=1e-4
)


def trained(device):
    """Pair frequencies of a generator after a fit and an adversarial round, and where it was."""
    settings = TrainingSettings(latents=64, adversarial_steps=5, device=device)
    network, loss = new_generator(FIRST, WIDTHS, settings), MarginalLoss([*FIRST, PAIR], WIDTHS)
    place = network.latent.device.type
    fit(network, loss, 200, 1e-2)
    log_ratio = log_ratio_of_second_code(WIDTHS, 2.0)
    for one in (log_ratio.record_predictor, log_ratio.generator_predictor):
        one.to(network.latent.device)
    log_ratio.signal_share = log_ratio.signal_share.to(network.latent.device)
    adversary = Adversary(network, loss.excess, 0.1, settings)
    adversary.round(log_ratio)
    released = adversary.release()
    assert released.latent.device == network.latent.device
    mixture = GeneratorMixture.of(released)
    assert mixture.logits.device == network.latent.device
    fit_mixture(mixture, loss, 50)
    calibrate(mixture, FIRST)
    assert mixture.logits.device.type == "cpu"
    soft = mixture.soft_rows()
    return (soft.T @ soft / len(soft)).numpy(), place


@pytest.mark.skipif(not HERE, reason="torch sees no CUDA device here")
def test_a_device_trains_the_same_generator():
    (ours, place), (theirs, _) = trained("cuda"), trained("cpu")
    assert place == "cuda"
    np.testing.assert_allclose(ours, theirs, atol=2e-3)


@pytest.mark.skipif(not HERE, reason="torch sees no CUDA device here")
def test_predictors_learn_where_their_rows_are():
    rows = torch.tensor([[0, 1], [0, 2]]).repeat(1, 50).cuda()
    log_ratio = LogRatio(WIDTHS, (4,), rows, torch.Generator().manual_seed(0), first_steps=2)
    log_ratio.estimate_signal(log_ratio.record_predictor, rows)
    assert log_ratio.logits(rows).device.type == "cuda"


def test_a_finished_generator_is_the_processors():
    assert trained("cpu")[1] == "cpu"


@pytest.mark.skipif(HERE, reason="torch sees a CUDA device here")
def test_a_device_that_is_not_there_is_refused_before_anything_is_computed(tmp_path):
    with pytest.raises(InputError, match="--device cuda: torch sees no CUDA device here"):
        TrainingSettings.on("cuda")
    with pytest.raises(ValueError, match="expected cpu"):
        TrainingSettings(device="cuda")
    (tmp_path / "t.csv").write_text("a,b\n" + "1,x\n2,y\n" * 20)
    out = tmp_path / "out"
    done = fedsynth("simulate", tmp_path / "t.csv", "--out", out, "--device", "cuda")
    assert done.returncode == 2
    assert "--device cuda" in done.stderr
    assert not out.exists()
