"""Options that several commands of `fedsynth site` share, and how a configuration fills them.

A command takes its places either from `--config` or one by one; a mixture would let a ledger be
shown, or a table served, against somebody else's policy, so it is refused.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_PLAN_BYTES, read_limited

if TYPE_CHECKING:
    from fedsynth_client.settings.site_config import SiteConfig
    from fedsynth_common.protocol.plan import Plan

ConfigPath = Annotated[
    Path, typer.Option("--config", help="The site's configuration, from `fedsynth site init`.")
]
OptionalConfigPath = Annotated[
    Path | None,
    typer.Option("--config", help="The site's configuration, instead of the single places."),
]
LedgerPath = Annotated[Path | None, typer.Option("--ledger", help="The site's ledger (SQLite).")]
PolicyPath = Annotated[
    Path | None, typer.Option("--policy", help="The site's policy (.toml or .json).")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def chosen_config(config: Path | None, places: Mapping[str, Path | None]) -> "SiteConfig | None":
    """The configuration, or None where all `places` were given by options.

    Raises:
        InputError: both were given, or neither in full.
    """
    given = [f"--{name}" for name, value in places.items() if value is not None]
    if config is not None and given:
        raise InputError(f"--config already names what {', '.join(given)} does; give one of them")
    if config is not None:
        from fedsynth_client.settings.site_config import SiteConfig

        return SiteConfig.load(config)
    lacking = [f"--{name}" for name, value in places.items() if value is None]
    if lacking:
        raise InputError(f"give --config, or else also {', '.join(lacking)}")
    return None


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
