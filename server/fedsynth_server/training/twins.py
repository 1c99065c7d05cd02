"""Two predictors of blanked columns, one of the records, one of the generator: together a discriminator.

The sites train the first with DP-SGD; the second starts as the same network and learns from the
generator's own rows, at no cost. What the one says of a row's column given the others, less what the
other says,

    r_j(x) = log p(x_j | others; records) - log p(x_j | others; generator),

is the log ratio that a discriminator stands for, column by column. Without the second the generator
would be drawn to each column's likeliest code (Gong et al. 2019, "Twin auxiliary classifiers GAN"). The
mean of -r over the generator's rows is what its conditional distributions lose against the records'
(pseudo-likelihood: Besag 1975): zero where they are the same.
"""

import copy
from collections.abc import Sequence

import torch

from fedsynth_common.networks import Discriminator, predictions

FIRST_STEPS, FIRST_RATE = 600, 5e-3
"""Adam steps, and their rate, that show both twins what the generator knows before the first message."""
STEPS, RATE = 60, 2e-3
"""Of the generator's twin after every message: the generator has moved on."""
BATCH = 1024


class Twins:
    """The predictor of the records, as the sites train it, and that of the generator.

    Both start from the generator's hard rows (n, D): all that it knows already is learned for free.
    """

    def __init__(
        self,
        widths: Sequence[int],
        hidden: Sequence[int],
        rows: torch.Tensor,
        source: torch.Generator,
        first_steps: int = FIRST_STEPS,
    ) -> None:
        self.widths, self.source = list(widths), source
        self.generator = Discriminator(sum(widths), hidden)
        self.generator.initialise(rows.mean(0).cpu(), len(widths), source)
        self.generator.to(rows.device)
        self._learn(rows, first_steps, FIRST_RATE)
        self.records = copy.deepcopy(self.generator)
        self.believed = torch.zeros(len(widths), device=rows.device)

    def follow(self, rows: torch.Tensor, steps: int = STEPS) -> None:
        """Train the generator's twin on its newest hard rows (n, D)."""
        self._learn(rows, steps, RATE)

    def _learn(self, rows: torch.Tensor, steps: int, rate: float) -> None:
        network = self.generator.requires_grad_(True)
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

    def weigh(self, null: Discriminator, rows: torch.Tensor) -> None:
        """Believe each column as far as it says more than noise alone would.

        The share 1 - E[r_null²] / E[r²] of a column is the James-Stein estimate of how much of r is
        signal (Efron & Morris 1973, "Stein's estimation rule and its competitors").

        Args:
            null: what the sites' training would have made of the generator's rows (`null.py`).
            rows: the generator's hard rows (n, D), over which the means are taken.
        """
        with torch.no_grad():
            null = copy.deepcopy(null).to(rows.device)
            found, noise = self._squares(self.records, rows), self._squares(null, rows)
        self.believed = (1.0 - noise / found.clamp(min=1e-12)).clamp(min=0.0)

    def _squares(self, of: Discriminator, rows: torch.Tensor) -> torch.Tensor:
        """Mean square of the log ratio of `of` and the generator's, by column (columns,)."""
        return self._differences(of, rows).square().mean(0)

    def ratios(self, rows: torch.Tensor) -> torch.Tensor:
        """What is believed of r, by row and column (B, columns); differentiable in the rows (B, D)."""
        return self.believed * self._differences(self.records, rows)

    def _differences(self, of: Discriminator, rows: torch.Tensor) -> torch.Tensor:
        """Log-probability of each column by `of`, less that by the generator's (B, columns)."""
        return predictions(of, rows, self.widths) - predictions(self.generator, rows, self.widths)

    def verdict(self, rows: torch.Tensor) -> torch.Tensor:
        """The sum of what is believed over all columns of each row (B,): the discriminator's logit."""
        with torch.no_grad():
            return self.ratios(rows).sum(1)
