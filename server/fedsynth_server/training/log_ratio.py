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

from fedsynth_common.networks import Discriminator, predictions

FIRST_RATE = 5e-3
"""Adam's rate on the generator's rows, for both predictors before the first message."""
STEPS, RATE = 60, 2e-3
"""Adam steps of the generator's predictor after every message, because the generator has changed."""
BATCH = 1024


class LogRatio:
    """The predictor of the records, as the sites train it, and that of the generator.

    Why the two are a discriminator: the optimal discriminator of a GAN has the logit
    log p_records(x) - log p_generator(x) (Goodfellow et al. 2014, Proposition 1). The predictors
    estimate both terms of this difference, for every column given the others, and `logits` sums over
    the columns. The sites need no synthetic rows for it: they train on their records alone.

    Both start from the generator's hard rows (n, D): what the generator knows already is learned
    without privacy cost.

    Attributes:
        record_predictor: its weights are replaced by the sites' average after every message.
        generator_predictor: learns from the generator's rows here.
        signal_share: by column (columns,), the share of the log ratio that is not noise.
    """

    def __init__(
        self,
        widths: Sequence[int],
        hidden: Sequence[int],
        rows: torch.Tensor,
        source: torch.Generator,
        first_steps: int = 600,
    ) -> None:
        self.widths, self.source = list(widths), source
        self.generator_predictor = Discriminator(sum(widths), hidden)
        self.generator_predictor.initialise(rows.mean(0).cpu(), len(widths), source)
        self.generator_predictor.to(rows.device)
        self._learn(rows, first_steps, FIRST_RATE)
        self.record_predictor = copy.deepcopy(self.generator_predictor)
        self.signal_share = torch.zeros(len(widths), device=rows.device)

    def follow(self, rows: torch.Tensor, steps: int = STEPS) -> None:
        """Train the generator's predictor on its newest hard rows (n, D)."""
        self._learn(rows, steps, RATE)

    def _learn(self, rows: torch.Tensor, steps: int, rate: float) -> None:
        network = self.generator_predictor.requires_grad_(True)
        optimiser = torch.optim.Adam(network.parameters(), lr=rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        for _ in range(steps):
            chosen = torch.randint(len(rows), (BATCH,), generator=self.source)
            batch = rows[chosen.to(rows.device)]
            loss = -predictions(network, batch, self.widths).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimiser.step()
            schedule.step()
        network.requires_grad_(False)

    def estimate_signal(self, null: Discriminator, rows: torch.Tensor) -> None:
        """Estimate for each column which share of its log ratio is signal and not noise.

        The share 1 - E[r_null²] / E[r²] of a column is the James-Stein estimate of how much of r is
        signal (Efron & Morris 1973, "Stein's estimation rule and its competitors").

        Args:
            null: what the sites' training would have made of the generator's rows (`null_training.py`).
            rows: the generator's hard rows (n, D), over which the means are taken.
        """
        null = copy.deepcopy(null).to(rows.device)
        with torch.no_grad():
            squares, noise = self._squares(self.record_predictor, rows), self._squares(null, rows)
        self.signal_share = (1.0 - noise / squares.clamp(min=1e-12)).clamp(min=0.0)

    def _squares(self, of: Discriminator, rows: torch.Tensor) -> torch.Tensor:
        """Mean square of the log ratio of `of` and the generator's, by column (columns,)."""
        return self._differences(of, rows).square().mean(0)

    def ratios(self, rows: torch.Tensor) -> torch.Tensor:
        """The signal in r, by row and column (B, columns); differentiable in the rows (B, D)."""
        return self.signal_share * self._differences(self.record_predictor, rows)

    def _differences(self, of: Discriminator, rows: torch.Tensor) -> torch.Tensor:
        """Log-probability of each column by `of`, less that by the generator's (B, columns)."""
        return predictions(of, rows, self.widths) - predictions(
            self.generator_predictor, rows, self.widths
        )

    def logits(self, rows: torch.Tensor) -> torch.Tensor:
        """The sum of the signal over all columns of each row (B,): the discriminator's logit."""
        with torch.no_grad():
            return self.ratios(rows).sum(1)
