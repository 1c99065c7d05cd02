"""Options that several commands of `fedsynth site` share, and how they read a plan file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_PLAN_BYTES, read_limited

if TYPE_CHECKING:
    from fedsynth_common.protocol.plan import Plan

ConfigPath = Annotated[
    Path, typer.Option("--config", help="The site's configuration, from `fedsynth site init`.")
]
OptionalConfigPath = Annotated[
    Path | None,
    typer.Option(
        "--config", help="The site's configuration, which names the courier's configuration."
    ),
]
NOT_INSTALLED = (
    "the package fedsynth-release, which judges and compares tables, is not installed at this site; "
    "it comes with: pip install 'fedsynth-client[score]'"
)
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def read_plan(path: Path) -> "Plan":
    """A plan file.

    Raises:
        InputError: missing, unreadable or not a plan.
    """
    from fedsynth_common.protocol.plan import Plan  # not for a courier, who has no randomgen

    try:
        return Plan.from_json(read_limited(path, MAX_PLAN_BYTES))
    except OSError as error:
        raise InputError(f"plan {path}: cannot be read ({error.strerror})") from None


@contextmanager
def release_package() -> Iterator[None]:
    """Around imports of fedsynth-release, which a site may leave out.

    Raises:
        InputError: it is not installed, and what installs it.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "fedsynth_release":
            raise
        raise InputError(NOT_INSTALLED) from None
