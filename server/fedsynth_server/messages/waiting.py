"""Says in words why a site has not answered, for the person who watches a study.

The codes themselves stay in notes and documents: scripts and the tables of RUNBOOK.md look for them.
"""

from collections.abc import Iterable, Mapping

from fedsynth_common.errors import ErrorCode

NO_REPLY = "no reply before the deadline"
NO_REPLY_SOON = "no reply by the time that the others had answered"
NOT_CONNECTED = "not connected"
NOT_SENT = "not sent"
PASSING = {
    *(f"flower error {code}" for code in (3, 4, 5, 8)),
    ErrorCode.UNAVAILABLE.value,
    NOT_CONNECTED,
    NOT_SENT,
}
"""Reasons for a failure that may pass within a minute."""
_WORDS = {
    "ERR_PLAN": "the plan is not approved there",
    "ERR_POLICY": "its policy does not allow the plan",
    "ERR_BUDGET": "its budget for these people is used up",
    "ERR_PAYLOAD": "the request or the reply is malformed; do both run the same version?",
    "ERR_CONFLICT": "it has answered this step for another request",
    "ERR_SPENT": "its reply was lost in a crash of the vault, and stays charged",
    "ERR_LEDGER": "its ledger does not open; see RUNBOOK.md",
    "ERR_RECORDS": "it has fewer records than its policy's minimum",
    "ERR_VERSION": "it runs another version of fedsynth",
    "ERR_UNAVAILABLE": "its vault does not answer its courier: is the vault stopped?",
    "ERR_INTERNAL": "its vault failed; the site's log says where",
    "flower error 2": "its courier refused what was started; is another bundle installed there?",
    "flower error 3": "the message was lost on the way",
    "flower error 4": "the reply was lost on the way",
    "flower error 5": "its courier is not connected any more",
    "flower error 8": "its courier was stopped while it worked",
    NOT_CONNECTED: "its courier is not connected",
    NOT_SENT: "the SuperLink does not take the message",
    NO_REPLY: "it was asked, and has not answered yet",
}


def in_words(reason: str) -> str:
    """What a person is told of a reason; a reason that is a sentence already stays as it is.

    >>> in_words("ERR_PLAN")
    'the plan is not approved there'
    """
    return _WORDS.get(reason, reason)


def again_in(reason: str, seconds: float | None) -> str:
    """The reason, and when the site is asked again; None while a question is under way.

    >>> again_in("ERR_PLAN", 39.6)
    'the plan is not approved there; asked again in 40 s'
    """
    if seconds is None:
        return in_words(reason)
    return f"{in_words(reason)}; asked again in {max(0.0, seconds):.0f} s"


def listed(failed: Mapping[str, str]) -> str:
    """Sites with the codes of their failures and what these mean, in one line.

    >>> listed({"north": "ERR_PLAN"})
    'north: ERR_PLAN, the plan is not approved there'
    """
    return "; ".join(_one(site, reason) for site, reason in failed.items())


def _one(site: str, reason: str) -> str:
    words = in_words(reason)
    return (
        f"{site}: {reason}"
        if words == reason or reason == NO_REPLY
        else f"{site}: {reason}, {words}"
    )


def missing(sites: Iterable[str]) -> str:
    """The end of a sentence that names sites; empty without any."""
    named = ", ".join(sites)
    return f"; not connected: {named}" if named else ""
