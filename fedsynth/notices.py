"""What fedsynth tells somebody in Python: warnings of four kinds, and errors in Python's words.

Python's own `warnings` filter them: `warnings.simplefilter("ignore", fedsynth.MethodNotice)`.
"""

import re
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from fedsynth_common.errors import FedsynthError, InputError
from fedsynth_common.privacy import PrivacyError


class FedsynthWarning(UserWarning):
    """Something that a user of the result should know."""


class NotPrivateWarning(FedsynthWarning):
    """The result is not differentially private, and why."""


class PersonsWarning(FedsynthWarning):
    """A person may have several rows, and only one row is protected."""


class ColumnWarning(FedsynthWarning):
    """Something of a column is lost, withheld or guessed."""


class MethodNotice(FedsynthWarning):
    """What the study is going to do, and about how long it will take."""


class WrongTypeError(InputError, TypeError):
    """An argument has the wrong type; the message says what was expected."""


_OURS = {
    "fedsynth",
    "fedsynth_common",
    "fedsynth_release",
    "fedsynth_client",
    "fedsynth_server",
    "fedsynth_simulations",
    "contextlib",
}
_OPTION = re.compile(r"--([a-z][a-z-]*)")
_NAMES = {"rows": "n", "next": "events", "out": "folder", "force": "force=True"}
"""Options of the command line that are called otherwise in Python."""


def notice(text: str, category: type[FedsynthWarning]) -> None:
    """Warn, at the line of the user's own code that called fedsynth."""
    warnings.warn(text, category, stacklevel=_level())


def _level() -> int:
    """How many calls above `notice` the first code is that is not ours."""
    frame, level = sys._getframe(1), 1
    while str(frame.f_globals.get("__name__")).partition(".")[0] in _OURS and frame.f_back:
        frame, level = frame.f_back, level + 1
    return level


@contextmanager
def in_python() -> Iterator[None]:
    """Errors of the parts that the command line shares name options as Python does: `n`, not --rows.

    Raises:
        FedsynthError: as they raise it, with the same kind.
    """
    try:
        yield
    except (FedsynthError, PrivacyError) as error:
        kinds = (WrongTypeError, InputError, FedsynthError)
        kind = next((one for one in kinds if isinstance(error, one)), FedsynthError)
        fault = kind(python_names(str(error)))
    else:
        return
    raise fault from None


def python_names(text: str) -> str:
    """A message of the command line in the words of Python.

    >>> python_names("--records-per-site 0: expected at least 1; pass --force")
    'records_per_site 0: expected at least 1; pass force=True'
    """
    return _OPTION.sub(lambda m: _NAMES.get(m[1], m[1].replace("-", "_")), text)
