"""The parts of a study's plan: its measure steps, its training, its choice, and who sums securely.

`plan` puts them together and says which of them go with each other.
"""

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from fedsynth_common.limits import MAX_PARAMETERS
from fedsynth_common.privacy.events import DpSgdEvent

Purpose = Literal["histograms", "marginals", "screening", "three-way marginals", "site marginals"]
"""What a measure step is for. To a site all of them are lists of marginals with the step's noise."""
Trust = Literal["local", "secure-sum"]
LEAST_NOISE = 0.1
Multiplier = Annotated[float, Field(ge=LEAST_NOISE, le=1e6)]
"""A noise multiplier, within what the accountant composes (`privacy.events`)."""
Step = Annotated[int, Field(ge=1, le=1_000_000)]
Records = Annotated[int, Field(ge=1, le=10**12)]
Width = Annotated[int, Field(ge=1, le=MAX_PARAMETERS)]
SiteName = Annotated[str, Field(min_length=1, max_length=200)]
MAX_SITES = 1_000
MAX_STEPS = 1_000_000
"""Of DP-SGD in a study: as many as one event may hold."""


class Frozen(BaseModel):
    """A part of a plan: nothing unknown, nothing converted, nothing changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class MeasureStep(Frozen):
    """One `query.measure` message: a list of marginals, together one Gaussian mechanism.

    A request of marginals of sensitivity d_k (`counting.sensitivity`) with noise scales s_k (standard
    deviations) fits the step when 1 / sqrt(sum_k (d_k / s_k)^2) >= noise_multiplier.
    """

    step: Step
    purpose: Purpose
    noise_multiplier: Multiplier

    @property
    def by_site(self) -> bool:
        """Whether every site answers for itself, with all of its noise, also in a secure sum."""
        return self.purpose == "site marginals"


ADAM_BETAS = (0.5, 0.999)
"""Of the sites' Adam; the coordinator imagines the same training, so both must have the same."""


class DiscriminatorPlan(Frozen):
    """DP-SGD at the sites: all parameters are public constants.

    Message i of `messages` has step number `first_step + i` and runs `steps_per_message` steps on
    Poisson samples of rate `sampling_rate`, each unit clipped to `clipping_norm`, with Gaussian
    noise of standard deviation `noise_multiplier * clipping_norm`, divided by `expected_batch`.
    `learning_rate` is Adam's. Signal over noise of a sum of steps does not depend on it, but a small one
    leaves the discriminators where they began (simulations/RESULTS.md). Of every record drawn,
    `masked_columns` columns, or all where there are fewer, are predicted from the others.

    In a secure sum a message is one step: each site sends its clipped sum with its share of the noise,
    and the coordinator takes the step. `noise_multiplier` is that of all shares together then.
    """

    first_step: Step
    messages: int = Field(ge=1, le=10_000)
    steps_per_message: int = Field(ge=1, le=MAX_STEPS)
    sampling_rate: float = Field(ge=1e-9, le=1)
    noise_multiplier: float = Field(gt=0, le=1e6)
    clipping_norm: float = Field(default=1.0, ge=1e-6, le=1e6)
    expected_batch: Records
    learning_rate: float = Field(default=2e-2, gt=0, le=1e3)
    hidden: tuple[Width, ...] = Field(default=(64,), min_length=1, max_length=16)
    masked_columns: int = Field(default=8, ge=1, le=64)

    @model_validator(mode="after")
    def _within_bounds(self) -> Self:
        if self.messages * self.steps_per_message > MAX_STEPS:
            raise ValueError(f"messages times steps_per_message must not exceed {MAX_STEPS}")
        if self.parameters(1) > MAX_PARAMETERS:
            raise ValueError(f"hidden: the network has more than {MAX_PARAMETERS} parameters")
        return self

    def parameters(self, width: int) -> int:
        """Parameters of the discriminator of records that are `width` codes wide in all.

        >>> DiscriminatorPlan(first_step=1, messages=1, steps_per_message=1, sampling_rate=0.1,
        ...     noise_multiplier=1.0, expected_batch=1, hidden=(64,)).parameters(100)
        12964
        """
        sizes = [width, *self.hidden, width]
        return sum((fan_in + 1) * fan_out for fan_in, fan_out in pairwise(sizes))

    @property
    def steps(self) -> range:
        """The step numbers of the messages, in order."""
        return range(self.first_step, self.first_step + self.messages)

    def message_event(self, shares: int = 1) -> DpSgdEvent:
        """What one message costs, if the noise is made of the shares of so many sites."""
        return DpSgdEvent(
            sampling_rate=self.sampling_rate,
            noise_multiplier=self.noise_multiplier,
            steps=self.steps_per_message,
            shares=shares,
        )


class Listening(Frozen):
    """After the first `messages` of training the coordinator decides once what becomes of the rest.

    Either the remaining messages of training follow, or `otherwise`: a second measurement of pairs of
    columns, which is combined with the first. A site answers one of the two and refuses the other, and
    both together cost what the dearer one does (`privacy.either`).
    """

    messages: int = Field(ge=1, le=10_000)
    otherwise: MeasureStep


MAX_KEYED = 10_000
"""Sites times sums of a plan, at most: each site keeps keys and shares for each of them."""
LEAST_SITES = 3
"""Of a secure sum: of two sites, each could subtract its own counts from the sum."""
ReceiptKey = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""An Ed25519 public key, 32 bytes in hexadecimal."""


class SecureSum(Frozen):
    """The sites add their counts up under masks, so that the coordinator learns the sum alone.

    `colluders` is c: of the plan's K sites, so many may work together with the coordinator or be
    missing, *together*, and the sum still holds the noise of K - c honest sites, which is what the
    plan's ε counts on. `receipt_keys` names every site's receipt key, so that a site which approves
    the plan approves whom it sums with, and the coordinator can invent nobody.
    """

    colluders: int = Field(ge=1, le=MAX_SITES)
    receipt_keys: dict[SiteName, ReceiptKey] = Field(max_length=MAX_SITES)


def default_colluders(sites: int) -> int:
    """How many of `sites` may collude or be missing unless somebody decides otherwise: a fifth.

    >>> [default_colluders(sites) for sites in (3, 5, 7, 20, 50)]
    [1, 1, 2, 4, 10]
    """
    return max(1, -(-sites // 5))
