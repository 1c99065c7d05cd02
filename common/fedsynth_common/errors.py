"""Errors that a person reads, and the fixed codes that may leave a site.

There are two families, which are kept apart on purpose. `InputError` and its base carry one clear
line for the person at the keyboard: they name a column, a file or an option and never a cell's value.
`RefusalError` carries nothing but an `ErrorCode`: it is all that a vault tells the coordinator, since
free text could hold a private value.
"""

from enum import StrEnum


class FedsynthError(Exception):
    """A failure with one line of explanation; the command line exits with `exit_code`."""

    exit_code = 1


class InputError(FedsynthError):
    """A file, table, schema or option is not usable: says which, what was expected, what to do."""

    exit_code = 2


class ErrorCode(StrEnum):
    """Every reason a vault may give. The list is closed: codes are all that leaves on failure."""

    OK = "OK"
    PLAN = "ERR_PLAN"  # another plan, or one that this site has not approved
    POLICY = "ERR_POLICY"  # weaker privacy parameters than the site's policy allows
    BUDGET = "ERR_BUDGET"  # the data set's cap would be exceeded
    PAYLOAD = "ERR_PAYLOAD"  # malformed, wrong shape, non-finite or huge
    CONFLICT = "ERR_CONFLICT"  # the same step with other content
    SPENT = "ERR_SPENT"  # charged before, but the result was lost in a crash
    LEDGER = "ERR_LEDGER"  # ledger missing, damaged or rolled back
    RECORDS = "ERR_RECORDS"  # fewer records than the policy's minimum, or unusable
    VERSION = "ERR_VERSION"  # the two sides run different protocol versions
    UNAVAILABLE = "ERR_UNAVAILABLE"  # the vault cannot be reached from the courier
    INTERNAL = "ERR_INTERNAL"  # anything else: the site's own log has the details


class RefusalError(FedsynthError):
    """A vault refuses. It carries only a code.

    >>> str(RefusalError(ErrorCode.BUDGET))
    'ERR_BUDGET'
    """

    def __init__(self, code: ErrorCode) -> None:
        super().__init__(code.value)
        self.code = code
