"""What a site, and a cohort of a growing table, were charged: lines of a privacy statement."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.accounting import epsilon, epsilon_rdp
from fedsynth_common.privacy.events import MAX_MECHANISMS, Event, from_dict, merged, to_dict
from fedsynth_common.privacy.secure_noise import alone, shared
from fedsynth_common.protocol.receipt import SummedStep


def within_a_plan(charged: tuple[Event, ...]) -> tuple[Event, ...]:
    """The merged events as they are, if a plan allows as many; a receipt may hold any number.

    Raises:
        PrivacyError: they are more.
    """
    if len(charged) > MAX_MECHANISMS:
        raise PrivacyError(f"more than {MAX_MECHANISMS} different mechanisms")
    return charged


class StatementPart(BaseModel):
    """A part of a statement: unknown fields are refused, and nothing changes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SiteCost(StatementPart):
    """What the records of one site were charged.

    `epsilon_if_all_others_work_together` is that of the site's own share of the noise; null where the
    site makes all of its noise by itself, so that `epsilon` holds against everybody.
    `receipt` is the signed receipt in hexadecimal. `dataset`, `ledger_entries`, `ledger_head`,
    `package_version` and `sums` repeat fields of the receipt so that people can read them. Only older
    receipts tell `ledger_entries`, which spoke of other studies; it is 0 in all others.
    """

    site: str
    epsilon: float
    epsilon_rdp_upper_bound: float
    epsilon_if_all_others_work_together: float | None = None
    delta: float
    events: tuple[dict[str, Any], ...]
    dataset: str = ""
    ledger_entries: int = 0
    ledger_head: str = ""
    package_version: str = ""
    sums: tuple[SummedStep, ...] = ()
    receipt: str = ""
    signature: str = ""
    receipt_key: str = ""
    status: Literal["complete", "lost"] = "complete"

    @classmethod
    def from_events(
        cls, site: str, events: Sequence[dict[str, Any]], delta: float, **more: Any
    ) -> "SiteCost":
        """Compute the cost of a site from the events that it was charged.

        Raises:
            PrivacyError: the events cannot be composed, or they are of more different kinds than a
                plan allows. Each kind takes the accountant seconds, and a receipt may contain
                anything that a site signs.
        """
        charged = within_a_plan(merged(from_dict(event) for event in events))
        return cls(
            site=site,
            epsilon=epsilon(charged, delta),
            epsilon_rdp_upper_bound=epsilon_rdp(charged, delta),
            epsilon_if_all_others_work_together=(
                epsilon(alone(charged), delta) if shared(charged) else None
            ),
            delta=delta,
            events=tuple(to_dict(event) for event in charged),
            **more,
        )


class CohortCost(StatementPart):
    """What a study of a growing table charged the records of its cohort, at the site that paid most."""

    cohort: str
    study: str
    plan_digest: str
    epsilon: float
    delta: float
