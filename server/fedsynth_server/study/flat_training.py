"""Trains the generator of a table without histories: the rounds, if the plan has them, then the fit."""

from collections.abc import Sequence

from fedsynth_release.generator_mixture import GeneratorMixture
from fedsynth_server.aggregation.denoising import Denoised
from fedsynth_server.aggregation.histograms import Histograms
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.aggregation.three_way_noise import ThreeWay
from fedsynth_server.messages.secure_session import SecureSums
from fedsynth_server.messages.session import Session
from fedsynth_server.progress import StudyProgress
from fedsynth_server.training.curves import FIT, REFIT, Recorder
from fedsynth_server.training.fit import fit, new_generator
from fedsynth_server.training.marginal_loss import MarginalLoss
from fedsynth_server.training.mixture_fit import fit_mixture
from fedsynth_server.training.rounds import adversarial_rounds, in_rounds
from fedsynth_server.training.settings import TrainingSettings
from fedsynth_server.training.three_way_loss import ThreeWayLoss


def marginal_loss_of(
    pairs: Denoised,
    widths: Sequence[int],
    settings: TrainingSettings,
    three_way: ThreeWay | None = None,
) -> MarginalLoss:
    """The loss of a generator on cleaned marginals, with the target at which a fit ends."""
    target = settings.target_loss_for(pairs.expected_loss)
    if three_way is None:
        return MarginalLoss(pairs.marginals, widths, target)
    loss = ThreeWayLoss(three_way.marginals, three_way.groups, settings.device)
    cells = sum(marginal.frequencies.size for marginal in pairs.marginals)
    of_triples = settings.target_loss_for(three_way.expected_loss)
    together = (cells * target + loss.cells * of_triples) / (cells + loss.cells)
    return MarginalLoss(pairs.marginals, widths, together, loss)


class FlatTraining:
    """The training of one study; `sums` asks for the gradients in a secure sum."""

    def __init__(
        self,
        session: Session,
        settings: TrainingSettings,
        progress: StudyProgress,
        recorder: Recorder,
        sums: SecureSums | None,
    ) -> None:
        self._session, self._settings, self._sums = session, settings, sums
        self._progress, self._recorder = progress, recorder
        self._before: float | None = None

    def rounds(
        self, first: Sequence[MarginalEstimate], marginal_loss: MarginalLoss, histograms: Histograms
    ) -> GeneratorMixture | None:
        """What the plan's adversarial rounds made; None if they said no more than noise."""
        settings = self._settings
        network = new_generator(first, histograms.codebook.widths, settings)
        self._before = fit(
            network,
            marginal_loss,
            settings.network_steps,
            settings.learning_rate,
            lambda i, n: self._progress.update("fit generator", i, n),
            lambda i, loss: self._recorder.add(FIT, i, loss),
        )
        watched = settings, self._progress, self._recorder, self._sums
        trained = adversarial_rounds(self._session, network, marginal_loss, histograms, *watched)
        return None if trained is None else GeneratorMixture.of(trained)

    def fit_pairs(self, mixture: GeneratorMixture, marginal_loss: MarginalLoss) -> None:
        """Fit to the pairs alone, from which a screening tells what is beyond them."""
        fit_mixture(
            mixture,
            marginal_loss,
            self._settings.fit_steps,
            lambda i, n: self._progress.update("fit generator", i, n),
        )

    def fit(self, mixture: GeneratorMixture, marginal_loss: MarginalLoss) -> tuple[float, float]:
        """Fit to the marginals; returns the losses before the rounds, if there are any, and now.

        The rounds change the marginals. The fit brings them back, and what it does not touch stays as
        it was learned. Without pairs there is nothing to bring back.
        """
        if self._before is not None and not marginal_loss.has_pairs:
            return self._before, float(marginal_loss.loss(mixture.soft_rows()))
        curve, name, start = FIT, "fit generator", 0
        if self._before is not None:
            curve, name, start = REFIT, "refit generator", self._generator_steps()
        last = fit_mixture(
            mixture,
            marginal_loss,
            self._settings.fit_steps,
            lambda i, n: self._progress.update(name, i, n),
            lambda i, loss: self._recorder.add(curve, start + i, loss),
        )
        return last if self._before is None else self._before, last

    def _generator_steps(self) -> int:
        """Steps of the generator in all rounds."""
        plan = self._session.plan
        rounds = (
            in_rounds(plan.discriminator, plan.secure_sum is not None) if plan.discriminator else []
        )
        return len(rounds) * self._settings.adversarial_steps
