"""The log ratio of two predictors of masked columns, which together are a discriminator.

The sites train one predictor on their records with DP-SGD. The other starts as the same network and
learns from the generator's own rows, at no privacy cost. Each gives the probability of a column's code
given the row's other columns. The difference of their logarithms,

    r_j(x) = log p(x_j | others; records) - log p(x_j | others; generator),

is the log ratio that a discriminator estimates, column by column. Without the second predictor the
generator would learn to write each column's most likely code (Gong et al. 2019, "Twin auxiliary
classifiers GAN"). The mean of -r over the generator's rows is the Kullback-Leibler divergence of its
conditional distributions from the records' (pseudo-likelihood: Besag 1975): zero if they are the same.
"""

import copy
from collections.abc import Sequence

import torch

from fedsynth_common.networks import Discriminator
from fedsynth_server.training.predictor_pass import PredictorPass

FIRST_RATE = 5e-3
"""Adam's rate on the generator's rows, for both predictors before the first message."""
STEPS, RATE = 30, 2e-3
"""Adam steps of the generator's predictor after every message, because the generator has changed."""
BATCH = 1024


class LogRatio:
    """The predictor of the records, as the sites train it, and that of the generator.

    Why the two are a discriminator: the optimal discriminator of a GAN has the logit
    log p_records(x) - log p_generator(x) (Goodfellow et al. 2014, Proposition 1). The predictors
    estimate both terms of this difference, for every column given the others, and `logits` sums over
    the columns. The sites need no synthetic rows for it: they train on their records alone.

    Both start from the codes of the generator's rows (columns, n): what the generator knows already is
    learned without privacy cost.

    Attributes:
        record_predictor: its weights are replaced by the sites' average after every message.
        generator_predictor: learns from the generator's rows here.
        signal_share: by predicted column, the share of the log ratio that is not noise.
    """

    def __init__(
        self,
        widths: Sequence[int],
        hidden: Sequence[int],
        rows: torch.Tensor,
        source: torch.Generator,
        first_steps: int = 600,
        predicted: range | None = None,
    ) -> None:
        self.widths, self.source = list(widths), source
        self.predicted = range(len(widths)) if predicted is None else predicted
        self.generator_predictor = Discriminator(sum(widths), hidden).requires_grad_(False)
        counts = [torch.bincount(c, minlength=w) for c, w in zip(rows.cpu(), widths, strict=True)]
        frequencies = torch.cat(counts) / rows.shape[1]
        self.generator_predictor.initialise(frequencies, len(widths), source)
        self.generator_predictor.to(rows.device)
        self._learn(rows, first_steps, FIRST_RATE)
        self.record_predictor = copy.deepcopy(self.generator_predictor)
        self.signal_share = torch.zeros(len(self.predicted), device=rows.device)

    def follow(self, rows: torch.Tensor, steps: int = STEPS) -> None:
        """Train the generator's predictor on the codes of its newest rows (columns, n)."""
        self._learn(rows, steps, RATE)

    def _learn(self, rows: torch.Tensor, steps: int, rate: float) -> None:
        network = self.generator_predictor
        parameters = list(network.parameters())
        optimiser = torch.optim.Adam(parameters, lr=rate, fused=True)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(steps):
            chosen = torch.randint(rows.shape[1], (BATCH,), generator=self.source)
            batch = rows.index_select(1, chosen.to(rows.device))
            predictors = PredictorPass(network, batch, self.widths, self.predicted)
            gradients = predictors.loss_gradients()
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            optimiser.step()
            schedule.step()
        optimiser.zero_grad()

    def estimate_signal(self, null: Discriminator, rows: torch.Tensor) -> None:
        """Estimate for each column which share of its log ratio is signal and not noise.

        The share 1 - E[r_null²] / E[r²] of a column is the James-Stein estimate of how much of r is
        signal (Efron & Morris 1973, "Stein's estimation rule and its competitors").

        Args:
            null: what the sites' training would have made of the generator's rows (`null_training.py`).
            rows: codes of the generator's rows (columns, n), over which the means are taken.
        """
        squares, noise = self.squares(null, rows)
        self.signal_share = (1.0 - noise / squares.clamp(min=1e-12)).clamp(min=0.0)

    def squares(self, null: Discriminator, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean squares of r and of what r would be from noise alone, by predicted column each."""
        null = copy.deepcopy(null).to(rows.device)
        generator = self._chosen(self.generator_predictor, rows)
        found = [
            (self._chosen(of, rows) - generator).square().mean(1)
            for of in (self.record_predictor, null)
        ]
        return found[0], found[1]

    def _chosen(self, of: Discriminator, rows: torch.Tensor) -> torch.Tensor:
        return PredictorPass(of, rows, self.widths, self.predicted).chosen()

    def slopes(self, rows: torch.Tensor) -> tuple[float, torch.Tensor]:
        """The mean of `logits`, and its gradient in soft rows that have the codes of `rows`.

        Args:
            rows: codes (columns, n).

        Returns:
            The mean, and the gradient of each row's part of it at every code (D, n).
        """
        value, shares = 0.0, self.signal_share.tolist()
        into = torch.zeros(sum(self.widths), rows.shape[1], device=rows.device)
        for of, sign in ((self.record_predictor, 1.0), (self.generator_predictor, -1.0)):
            weights = [sign * share / rows.shape[1] for share in shares]
            value += PredictorPass(of, rows, self.widths).add_row_slopes(weights, into)
        return value, into

    def logits(self, rows: torch.Tensor) -> torch.Tensor:
        """The sum of the signal in r over all columns of each row (n,): the discriminator's logit."""
        records, generator = (
            self._chosen(of, rows) for of in (self.record_predictor, self.generator_predictor)
        )
        return self.signal_share @ (records - generator)
