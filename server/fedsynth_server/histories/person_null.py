"""Null training with whole persons, as `training.null_training` does it with rows."""

import numpy as np
import torch

from fedsynth_common.array_types import Int64Array, UInt16Array
from fedsynth_common.networks import Discriminator
from fedsynth_common.networks.event_windows import EventWindows
from fedsynth_common.networks.gradients import RowGradients
from fedsynth_common.networks.unit_gradients import UnitGradients
from fedsynth_common.privacy.clipping import clip_and_sum
from fedsynth_common.protocol.plan import DiscriminatorPlan
from fedsynth_server.training.null_training import NullTraining


class PersonNullTraining(NullTraining):
    """Simulated sites whose persons are the generator's; all rows of a person are clipped together."""

    def __init__(
        self,
        start: Discriminator,
        plan: DiscriminatorPlan,
        sites: int,
        windows: EventWindows,
        source: torch.Generator,
    ) -> None:
        super().__init__(start, plan, sites, windows.widths, source)
        self.windows, self._starts = windows, np.zeros(1, np.int64)

    def message_of(self, rows: UInt16Array, person: Int64Array) -> None:
        """One message to all sites; the rows of a person (n, columns) stand together."""
        first = np.flatnonzero(np.diff(person, prepend=-1))
        self._starts = np.append(first, len(person))
        self.message(rows)

    def _clipped(self, codes: UInt16Array, size: int) -> list[torch.Tensor]:
        persons = torch.randint(len(self._starts) - 1, (size,), generator=self.source).numpy()
        sizes = np.diff(self._starts)[persons]
        unit = np.repeat(np.arange(size), sizes)
        within = np.arange(len(unit)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        rows = self._starts[persons][unit] + within
        seed = int(torch.randint(2**62, (1,), generator=self.source))
        gradients = RowGradients(
            self._site_network,
            codes[rows],
            self.windows.order(np.random.default_rng(seed), len(rows)),
            min(self.plan.masked_columns, len(self.windows.predicted)),
            self.widths,
        )
        together = UnitGradients(gradients, unit, size)
        return clip_and_sum(together, torch.ones(size, dtype=torch.bool), self.plan.clipping_norm)
