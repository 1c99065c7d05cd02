"""Locks a site's FLARE client, so that a job can do no more there than ask the vault.

    python -m fedsynth_flare.lock KIT        KIT: a startup kit of FLARE, with `startup/` and `local/`

FLARE reads what a site allows from two files of the kit's `local/` folder, which only the site can
write. For a client this changes both:

* `resources.json`: of all classes a job may name `VaultExecutor` alone, and nothing of the client's
  logs is streamed to the server;
* `authorization.json`: nobody may ship code with a job (`byoc`) or type shell commands at the client.

In the kit of the FLARE server it adds the class of the study to those that a job may name.

The FLARE client should be a user of its own that cannot read records, policy and ledger, like the
courier. What was started before has to be started again.
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fedsynth_common.durable import write_durably
from fedsynth_common.errors import InputError

Changes = dict[str, Callable[[dict[str, Any]], dict[str, Any]]]
"""File of a kit's `local/` folder, without its ending -> what becomes of its content."""

EXECUTOR = "fedsynth_flare.site.VaultExecutor"
CONTROLLER = "fedsynth_flare.coordinator.StudyController"
STREAMERS = ("SiteLogStreamer", "JobLogStreamer")
"""Components of FLARE's defaults that send the client's logs to the server."""

FORBIDDEN = {"byoc": "none", "shell_commands": "none", "server-predeployed-flwr": "none"}
ADMIN = {
    "submit_job": "any",
    "clone_job": "any",
    "manage_job": "any",
    "download_job": "any",
    "view": "any",
    "operate": "o:site",
}
"""What FLARE's defaults write as "any" for the project's administrator, without what is forbidden."""


def locked_resources(default: dict[str, Any]) -> dict[str, Any]:
    """The site's resources, with one class allowed and no streaming of logs."""
    components = [
        part for part in default["components"] if not str(part["path"]).endswith(STREAMERS)
    ]
    return default | {
        "class_list_enforcement_mode": "enforce",
        "class_allow_list": [EXECUTOR],
        "allow_log_streaming": False,
        "components": components,
    }


def locked_authorization(default: dict[str, Any]) -> dict[str, Any]:
    """The site's authorization, in which no role has a forbidden right."""
    roles = {
        role: (dict(ADMIN) if rights == "any" else dict(rights)) | FORBIDDEN
        for role, rights in default["permissions"].items()
    }
    return default | {"permissions": roles}


def allowed_study(present: dict[str, Any]) -> dict[str, Any]:
    """The server's resources, in which a job may also name the study."""
    names = [*present["class_allow_list"], CONTROLLER]
    return present | {"class_allow_list": list(dict.fromkeys(names))}


def lock(kit: Path) -> list[Path]:
    """Write the files of a client's or of a server's kit; returns their paths.

    Raises:
        InputError: the folder is no startup kit of FLARE.
    """
    if (kit / "startup/fed_client.json").is_file():
        changes: Changes = {"resources": locked_resources, "authorization": locked_authorization}
    elif (kit / "startup/fed_server.json").is_file():
        changes = {"resources": allowed_study}
    else:
        raise InputError(
            f"{kit}: no startup kit of FLARE (no startup/fed_client.json or fed_server.json); name "
            "the folder that your FLARE project gave you"
        )
    written = []
    for name, change in changes.items():
        place = kit / f"local/{name}.json"
        present = place if place.is_file() else place.with_name(f"{name}.json.default")
        if not present.is_file():
            raise InputError(f"{present}: no such file; expected FLARE's defaults in the kit")
        content = change(json.loads(present.read_text(encoding="utf-8")))
        write_durably(place, (json.dumps(content, indent=2) + "\n").encode())
        written.append(place)
    return written


def main() -> None:
    """The command line: see above."""
    parser = argparse.ArgumentParser(
        description="Lock a FLARE client, or let a server run studies."
    )
    parser.add_argument("kit", type=Path, help="the startup kit")
    try:
        for path in lock(parser.parse_args().kit):
            print(f"wrote {path}")
    except InputError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
