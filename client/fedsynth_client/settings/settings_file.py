"""Settings that a person writes: TOML or JSON in, JSON for pydantic out, faults in plain lines.

Both the policy and the site's configuration are read here, so that both fail alike: a file that is
missing, unreadable or not of its kind stops the command and names the file; a faulty field is named
with what was expected. What the file holds is never echoed.
"""

import json
import tomllib
from pathlib import Path

from pydantic import ValidationError

from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_SETTINGS_BYTES, read_limited


def settings_json(path: Path, what: str) -> str:
    """The file's content as JSON; `what` is how messages call it ("policy").

    Raises:
        InputError: another extension, missing, unreadable, not UTF-8, or not TOML.
    """
    if path.suffix not in {".json", ".toml"}:
        raise InputError(f"{what} {path}: expected a file ending in .json or .toml")
    try:
        text = read_limited(path, MAX_SETTINGS_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{what} {path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{what} {path}: not UTF-8 at byte {error.start}") from None
    if path.suffix == ".json":
        return text
    try:
        return json.dumps(tomllib.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{what} {path}: not valid TOML ({error})") from None


def faults(error: ValidationError, whole: str) -> str:
    """Every faulty field and what was expected of it; `whole` names a fault of the whole file."""
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or whole}: {fault['msg']}"
        for fault in error.errors(include_input=False)
    )
