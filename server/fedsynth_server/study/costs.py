"""The budget of a plan step by step, as `fedsynth study explain` shows it."""

from pydantic import BaseModel

from fedsynth_common.privacy.accounting import epsilon as epsilon_of
from fedsynth_common.privacy.events import DpSgdEvent, EitherEvent, Event, GaussianEvent
from fedsynth_common.privacy.gaussian_dp import mu_of, total_mu
from fedsynth_common.protocol.plan import Plan


class Cost(BaseModel):
    """One line of a plan's budget table."""

    step: str
    mechanism: str
    noise: str
    epsilon_alone: float
    share: float


def explain(plan: Plan) -> list[Cost]:
    """The budget of a plan step by step: mechanism, noise, its ε alone, its share of μ²."""
    events = plan.planned_events()
    whole = total_mu(events) ** 2
    return [
        Cost(
            step=f"{run.label} {run.purpose}",
            mechanism=_MECHANISM[type(event)],
            noise=_noise(event),
            epsilon_alone=epsilon_of([event], plan.delta),
            share=mu_of(event) ** 2 / whole,
        )
        for run, event in zip(plan.message_runs, events, strict=True)
    ]


_MECHANISM: dict[type[Event], str] = {
    GaussianEvent: "discrete Gaussian on counts",
    DpSgdEvent: "DP-SGD (Poisson, flat clipping)",
    EitherEvent: "more DP-SGD, or counts of pairs once more",
}


def _noise(event: Event) -> str:
    """The noise multiplier and, of DP-SGD, the sampling rate q and the number of steps T."""
    match event:
        case GaussianEvent():
            return f"noise multiplier {event.noise_multiplier:.3f}"
        case DpSgdEvent():
            training = f"q={event.sampling_rate:g}, T={event.steps}"
            return f"noise multiplier {event.noise_multiplier:.3f}, {training}"
        case EitherEvent():
            return f"{_noise(event.training)}; or {_noise(event.counts)}"
        case _:
            raise TypeError(f"a plan has no {type(event).__name__}")
