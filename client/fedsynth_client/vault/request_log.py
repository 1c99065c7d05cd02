"""The vault's log: a line for every request, for the data steward.

    study covid, step 3 (measure): charged; the study has now cost epsilon 0.4312 of its 1; of the cap 3
    epsilon 2.5688 is left
    refused (enroll) with ERR_PLAN: no plan of digest 4c1f... is approved here; read the plan that the
    coordinator sent, then: fedsynth site approve PLAN

Who reads it: people of the site, and whatever collects its logs. A line is made from the request, the
plan, the policy, the ledger and the code of the reply alone, all of which the ledger or the coordinator
has as well. The records add nothing to it. Texts of a coordinator that are not checked are not
repeated, and refusals fill no disk: more than `_MOST` of them a minute are only counted.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fedsynth_client.budget.charge_chain import Charge
from fedsynth_client.budget.policy import Policy
from fedsynth_client.budget.spending import spending
from fedsynth_common.errors import ErrorCode
from fedsynth_common.privacy import PrivacyError
from fedsynth_common.protocol.plan import Plan

_log = logging.getLogger("fedsynth.vault")
_MINUTE, _MOST = 60.0, 60
"""Seconds, and lines about refusals within them."""
_REMEDIES = {
    ErrorCode.PLAN: "compare plan.json with the coordinator; site check --plan shows what differs",
    ErrorCode.POLICY: "decide whether policy.toml shall allow it; the coordinator may plan anew",
    ErrorCode.BUDGET: "the budget is used up; only you can raise max_epsilon, see site status",
    ErrorCode.PAYLOAD: "the request is malformed: ask which version the coordinator runs",
    ErrorCode.CONFLICT: "this step was answered for another request: ask the coordinator",
    ErrorCode.SPENT: "its reply was lost in a crash; it stays charged and is not computed again",
    ErrorCode.LEDGER: "see fedsynth site status, then RUNBOOK.md, 'The ledger does not open'",
    ErrorCode.RECORDS: "the table has too few records for min_records in policy.toml",
    ErrorCode.VERSION: "install the same release of fedsynth at the site and at the coordinator",
    ErrorCode.UNAVAILABLE: "correct the file; the coordinator asks again by itself",
    ErrorCode.INTERNAL: "a fault of the program: report the line above to its maintainers",
}


@dataclass
class Handled:
    """What is known of the request that is being handled.

    Attributes:
        method: that was called.
        study, step: once the plan is known; before, the text of a stranger is not repeated.
        outcome: what was done, in words.
    """

    method: str
    study: str = ""
    step: int | None = None
    outcome: str = "answered; nothing is charged"

    def of(self, plan: Plan) -> None:
        """The request belongs to this plan, which a person here has approved."""
        self.study = plan.study

    @property
    def name(self) -> str:
        """Study and step, as far as they are known."""
        if not self.study:
            return self.method
        step = "" if self.step is None else f", step {self.step}"
        return f"study {self.study}{step} ({self.method})"


class RequestLog:
    """Writes the lines."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since, self._refusals = clock(), 0

    def answered(self, handled: Handled) -> None:
        """A request that got what it asked for."""
        _log.info("%s: %s", handled.name, handled.outcome)

    def refused(self, handled: Handled, code: ErrorCode, words: str = "") -> None:
        """A request that was refused: why, and what the steward can do."""
        self._begin_minute()
        self._refusals += 1
        if self._refusals > _MOST:
            return
        why = "; ".join(part for part in (words, _REMEDIES.get(code, "")) if part)
        _log.warning("%s: refused with %s: %s", handled.name, code.value, why)

    def _begin_minute(self) -> None:
        now = self._clock()
        if now - self._since < _MINUTE:
            return
        if (more := self._refusals - _MOST) > 0:
            _log.warning("%d more refused requests are not listed", more)
        self._since, self._refusals = now, 0


def charged_words(plan: Plan, policy: Policy, charges: Sequence[Charge]) -> str:
    """What a study has cost by now and what is left of the cap."""
    try:
        spent = spending(charges, policy)
    except PrivacyError:  # the charge itself was computed; only this sum cannot be
        return "charged; see fedsynth site status"
    cost = spent.studies.get(plan.study, 0.0)
    return (
        f"charged; the study has now cost epsilon {cost:.4f} of its {plan.epsilon:g}; of the cap "
        f"{policy.max_epsilon:g} epsilon {spent.left:.4f} is left"
    )
