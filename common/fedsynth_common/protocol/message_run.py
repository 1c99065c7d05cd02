"""Messages of a plan that are alike: what `Plan.message_runs` lists."""

from collections.abc import Set
from dataclasses import dataclass, replace
from typing import Literal

from fedsynth_common.privacy.events import DpSgdEvent, EitherEvent, Event, GaussianEvent
from fedsynth_common.protocol.plan_parts import Purpose


@dataclass(frozen=True)
class MessageRun:
    """Messages of a plan that are alike and follow each other: one measurement, or all training.

    Attributes:
        numbers: the step numbers of the messages.
        purpose: what they are for.
        event: what each of them costs a site; of a choice, what all of them cost.
    """

    numbers: range
    purpose: Purpose | Literal["discriminator", "either"]
    event: GaussianEvent | DpSgdEvent | EitherEvent

    @property
    def count(self) -> int:
        """How many messages there are."""
        return len(self.numbers)

    @property
    def label(self) -> str:
        """The step numbers for a person: the first and, if there are more, the last."""
        first, last = self.numbers[0], self.numbers[-1]
        return str(first) if first == last else f"{first}-{last}"

    def paid(self, charged: Set[int]) -> bool:
        """Whether nothing is left to pay: a choice is paid whole with the first step of a branch."""
        return self.purpose == "either" and any(number in self.numbers for number in charged)

    def event_of(self, messages: int) -> Event:
        """What this many of the messages cost a site together, as one event."""
        if isinstance(self.event, DpSgdEvent):
            return replace(self.event, steps=self.event.steps * messages)
        return self.event
