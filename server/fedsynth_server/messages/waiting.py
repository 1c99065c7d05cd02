"""Says in words why a site has not answered and what to do, for the person who watches a study.

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
ANOTHER_KEY = "another receipt key than it showed first, so ask the site which one is its own"
NOT_THE_NAMED_KEY = (
    "another receipt key than study.toml names for it, so compare the two by telephone"
)
NOT_SIGNED = (
    "does not sign the plan with the receipt key that it shows, so it may be somebody else: ask it"
)
NO_KEY = "what it shows as its receipt key is none, so compare the versions of both ends"
STRANGER_BEFORE = (
    "has the key that study.toml names, but the journal holds another's replies; use a new folder"
)
_WORDS = {
    "ERR_PLAN": "the plan is not approved there or not for its table, so ask its steward, whose log "
    "says which",
    "ERR_POLICY": "its policy does not allow the plan, so plan anew or ask its steward to change it",
    "ERR_BUDGET": "its budget for these people is too small, so plan a smaller epsilon or go on "
    "without it",
    "ERR_PAYLOAD": "the request or the reply is malformed, so compare the versions of both ends",
    "ERR_CONFLICT": "it has answered this step for another request, so put the latest journal back "
    "or go on without it",
    "ERR_SPENT": "its reply was lost in a crash or a restore and stays charged, so go on without it",
    "ERR_LEDGER": "its ledger does not open, so ask its steward what fedsynth site status says",
    "ERR_RECORDS": "it has fewer records than its policy's minimum, so ask its steward or go on "
    "without it",
    "ERR_VERSION": "it runs another version of fedsynth, so install the same release at both ends",
    "ERR_UNAVAILABLE": "its vault does not answer its courier, so ask the site to start the vault or "
    "to correct its policy",
    "ERR_INTERNAL": "its vault failed, so ask its steward for the line in the vault's log",
    "flower error 2": "its courier refused what was started, so compare the bundles of both ends",
    "flower error 3": "the message was lost on the way",
    "flower error 4": "the reply was lost on the way",
    "flower error 5": "its courier is not connected any more, so ask the site to start it",
    "flower error 8": "its courier was stopped while it worked, so ask the site to start it",
    NOT_CONNECTED: "its courier is not connected, so ask the site what the courier's log says",
    NOT_SENT: "the SuperLink does not take the message, so look whether it runs",
    NO_REPLY: "it was asked, and has not answered yet",
}


def in_words(reason: str) -> str:
    """What a person is told of a reason; a reason that is a sentence already stays as it is.

    >>> in_words("ERR_PLAN")
    'the plan is not approved there or not for its table, so ask its steward, whose log says which'
    """
    return _WORDS.get(reason, reason)


def again_in(reason: str, seconds: float | None) -> str:
    """The reason, and when the site is asked again; None while a question is under way.

    >>> again_in("flower error 4", 39.6)
    'the reply was lost on the way; asked again in 40 s'
    """
    if seconds is None:
        return in_words(reason)
    return f"{in_words(reason)}; asked again in {max(0.0, seconds):.0f} s"


def listed(failed: Mapping[str, str]) -> str:
    """Sites with the codes of their failures and what these mean, in one line.

    >>> listed({"north": "flower error 4"})
    'north: flower error 4, the reply was lost on the way'
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
