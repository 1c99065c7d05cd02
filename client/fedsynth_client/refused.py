"""A refusal with its reason: the code leaves the site, the words go to the site's own log."""

from fedsynth_common.errors import ErrorCode, RefusalError


class RefusedError(RefusalError):
    """A vault refuses, and says to its steward why.

    Attributes:
        words: the reason, from the plan, the policy and the ledger and never from a record.

    >>> refused = RefusedError(ErrorCode.BUDGET, "the cap is reached")
    >>> str(refused), refused.words
    ('ERR_BUDGET', 'the cap is reached')
    """

    def __init__(self, code: ErrorCode, words: str) -> None:
        super().__init__(code)
        self.words = words
