"""The sites' training of the discriminators, message by message: each for itself, or as one sum.

With local noise every site takes several steps of DP-SGD by itself, and the coordinator averages what
comes back. In a secure sum a message is one step: every site sends the sum of its clipped gradients with
a share of the noise under masks, and the coordinator takes the step with the sum of all. The sum of K
sites then has the noise of about one, where with local noise it has that of K: the noise falls by
sqrt(K - c). In return there are fewer steps, since each is a message.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
import torch

from fedsynth_common.array_types import Float32Array, UInt16Array
from fedsynth_common.networks import Discriminator, flatten, layers_of, load_flat
from fedsynth_common.privacy.gradient_sum import gradient_units
from fedsynth_common.privacy.rounding import row_error, row_limit, slack
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import pack, pack_views
from fedsynth_common.protocol.plan import ADAM_BETAS, DiscriminatorPlan
from fedsynth_server.aggregation.discriminators import Agreement, Average, average
from fedsynth_server.messages.secure_session import SecureSums
from fedsynth_server.messages.session import Session

AGAINST = "its updates pointed against the other sites': it has other records, or sends wrong ones"


class SiteTraining(Protocol):
    """What the rounds need of the sites' training."""

    @property
    def weights(self) -> Float32Array:
        """The discriminator after the last message (p,)."""

    @property
    def imagined(self) -> tuple[DiscriminatorPlan, int]:
        """The training that null training repeats: of how many sites, each with which constants."""

    def message(self, step: int) -> None:
        """One message to the sites, and what becomes of their answers."""

    def end(self) -> None:
        """Note what was seen of the sites."""


class LocalTraining:
    """Every site trains by itself with all of its noise; the results are averaged."""

    def __init__(
        self,
        session: Session,
        views: Sequence[UInt16Array],
        shares: Mapping[str, float],
        weights: Float32Array,
    ) -> None:
        self._session, self._views, self._shares = session, views, shares
        self._state = Average(weights, np.zeros(2 * weights.size, dtype=np.float32))
        self._agreement = Agreement()

    @property
    def weights(self) -> Float32Array:
        """See `SiteTraining`."""
        return self._state.weights

    @property
    def imagined(self) -> tuple[DiscriminatorPlan, int]:
        """See `SiteTraining`."""
        return _plan_of(self._session), len(self._session.plan.sites)

    def message(self, step: int) -> None:
        """See `SiteTraining`."""
        session, before = self._session, self._state
        request = pb.DiscriminateRequest(
            plan_digest=session.digest,
            step=step,
            views=pack_views(self._views),
            weights=pack(before.weights, "f4"),
            moments=pack(before.moments, "f4"),
        )
        replies = session.discriminate(request)
        self._state = average(replies, self._shares, before.weights, before.moments)
        session.notes += [f"step {step}: {site} left out" for site in self._state.excluded]
        session.notes += [f"step {step}: {site} scaled down" for site in self._state.scaled]
        self._agreement.see(self._state.updates)

    def end(self) -> None:
        """See `SiteTraining`."""
        self._session.notes += [f"{site}: {AGAINST}" for site in self._agreement.against]


class SummedTraining:
    """Each message is one step of Adam with the sum of the sites' clipped gradients."""

    def __init__(
        self,
        session: Session,
        sums: SecureSums,
        views: Sequence[UInt16Array],
        network: Discriminator,
    ) -> None:
        self._session, self._sums, self._views = session, sums, views
        self._plan, self._shares = _plan_of(session), session.plan.noise_shares
        self._network, self._widths = network, [int(view.max()) + 1 for view in views]
        self._vector = torch.from_numpy(flatten(network).astype(np.float64))
        self._adam = torch.optim.Adam([self._vector], lr=self._plan.learning_rate, betas=ADAM_BETAS)
        self._rows = session.plan.table.rows_per_person

    @property
    def weights(self) -> Float32Array:
        """See `SiteTraining`."""
        weights: Float32Array = self._vector.numpy().astype(np.float32)
        return weights

    @property
    def imagined(self) -> tuple[DiscriminatorPlan, int]:
        """One site with the records of all, and the noise of all shares."""
        sites = len(self._session.plan.sites)
        constants = {
            "expected_batch": self._plan.expected_batch * sites,
            "noise_multiplier": self._plan.noise_multiplier * math.sqrt(sites / self._shares),
        }
        return self._plan.model_copy(update=constants), 1

    def message(self, step: int) -> None:
        """See `SiteTraining`. A step that leaves the range where rounding is bounded is undone."""
        request = pb.DiscriminateRequest(
            plan_digest=self._session.digest,
            step=step,
            views=pack_views(self._views),
            weights=pack(self.weights, "f4"),
        )
        total, sites = self._sums.gradient(request, self._vector.numel())
        unit = self._plan.clipping_norm / self._per_norm()
        mean = total * (unit / (self._plan.expected_batch * len(sites)))
        before = self._vector.clone()
        self._vector.grad = torch.from_numpy(mean)
        self._adam.step()
        if not self._bounded():
            self._vector.copy_(before)
            self._session.notes.append(f"step {step}: undone, its weights were too large")

    def end(self) -> None:
        """See `SiteTraining`: nobody sees the gradients of a single site."""

    def _per_norm(self) -> int:
        """Units to the clipping norm, as every site computes them."""
        plan, parameters = self._plan, self._vector.numel()
        rounding = slack(
            plan.hidden,
            expected_batch=plan.expected_batch,
            rows=self._rows,
            parameters=parameters,
            clipping_norm=plan.clipping_norm,
        )
        return gradient_units(plan.noise_multiplier, self._shares, parameters, rounding).per_norm

    def _bounded(self) -> bool:
        """Whether the sites will accept the weights (`privacy.rounding`)."""
        network = Discriminator(sum(self._widths), self._plan.hidden).double()
        load_flat(network, self.weights)
        error = row_error(
            [(weight.numpy(), bias.numpy()) for weight, bias in layers_of(network)],
            columns=len(self._widths),
            masked=min(self._plan.masked_columns, len(self._widths)),
            widest=max(self._widths),
            rows=self._rows,
        )
        return error <= row_limit(self._plan.hidden) / 2


def _plan_of(session: Session) -> DiscriminatorPlan:
    """The training of the session's plan, which has one."""
    if session.plan.discriminator is None:
        raise ValueError("plan: has no discriminator")
    return session.plan.discriminator
