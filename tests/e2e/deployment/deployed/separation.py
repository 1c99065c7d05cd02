"""How a site's two processes are kept apart from each other and from the network.

With root's rights, as in a container or a CI job: the vault and the courier of a site are two users
without any capability, who share a group for the socket; the vault lives in a network namespace with
not even a loopback interface. A Python below a closed home directory (pyenv of root, say) is made
visible to them by an own mount namespace, in which that home holds nothing else.

Without those rights everything runs as the user who tests; the vault is without a network all the same
where the kernel lets users make namespaces. `users` and `networkless` say what is so.
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

VAULT, COURIER, SOCKET_GROUP = 64001, 64002, 64000
REPOSITORY = Path(__file__).parents[4]

_ENTER = """
set -e
uid=$1 gid=$2 prefix=$3 keep=$4; shift 4
as="setpriv --reuid=$uid --regid=$gid --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs"
if ! $as test -x "$prefix/bin/." 2>/dev/null; then
    closed=/$(echo "$prefix" | cut -d/ -f2)
    mount --bind "$prefix" "$keep"
    mount -t tmpfs -o mode=755 none "$closed"
    mkdir -p "$prefix"
    mount --bind "$keep" "$prefix"
fi
exec $as "$@"
"""


@dataclass(frozen=True)
class Separation:
    """What this machine lets us do."""

    users: bool
    networkless: bool

    def prefix(self, user: int, keep: Path, *, network: bool) -> list[str]:
        """The words before a command that put it into its place; `keep` is an empty folder."""
        if self.users:
            space = ["unshare", "--mount", *([] if network else ["--net"])]
            arguments = [str(user), str(SOCKET_GROUP), sys.base_prefix, str(keep)]
            return [*space, "sh", "-c", _ENTER, "sh", *arguments]
        return ["unshare", "--map-root-user", "--net"] if self.networkless and not network else []

    def own(self, path: Path, user: int, mode: int) -> None:
        """Give a path to one of the site's users."""
        if self.users:
            os.chown(path, user, SOCKET_GROUP)
        path.chmod(mode)


@cache
def separation() -> Separation:
    """Found out by trying."""
    if os.geteuid() == 0:
        readable = ["setpriv", "--reuid=64001", "--clear-groups", "test", "-r"]
        users = _works(["unshare", "--mount", "--net", "true"]) and _works(
            [*readable, str(REPOSITORY / "pyproject.toml")]
        )
        return Separation(users=users, networkless=users)
    return Separation(
        users=False, networkless=_works(["unshare", "--map-root-user", "--net", "true"])
    )


def _works(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=30).returncode == 0
    except FileNotFoundError:
        return False
