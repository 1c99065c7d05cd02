"""The ports that a courier or a coordinator listens on: which are taken, and which are free.

If another courier of this computer uses the same ports, a SuperExec would ask the other site's SuperNode
for work. A SuperLink whose port is taken ends at once, and is started again without end. So the ports
are looked at before anything is started.
"""

import errno
import socket
from collections.abc import Container, Mapping

LOOPBACK = "127.0.0.1"
_UNPRIVILEGED, _HIGHEST = 1024, 65535


def taken_ports(
    named: Mapping[str, int], file: str, hosts: Mapping[str, str] | None = None
) -> list[str]:
    """A line for each port, by its name in `file`, that nobody can listen on, or that is there twice.

    Args:
        named: ports by the names that they have in the file.
        file: the configuration that names them; the line says to correct it there.
        hosts: by the same names, addresses of this computer other than the loopback interface.
    """
    reasons, own = [], set(named.values())
    for name, port in named.items():
        host = (hosts or {}).get(name, LOOPBACK)
        if why := _why_not(port, host):
            other = free_from(max(port, _UNPRIVILEGED) + 1, host, own)
            reasons.append(
                f"{name} {port}: {why}; write a free one into {file}, for example {name} = {other}"
            )
    if len(own) < len(named):
        reasons.append(f"{' and '.join(named)}: must be different ports; correct {file}")
    return reasons


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a program could listen on this port of `host`, an address of this computer, now."""
    return not _why_not(port, host)


def free_from(port: int, host: str = LOOPBACK, besides: Container[int] = ()) -> int:
    """The first free port from `port` on that is not one of `besides`; `port` itself if none is."""
    later = range(port, _HIGHEST + 1)
    return next((other for other in later if other not in besides and is_free(other, host)), port)


def _why_not(port: int, host: str) -> str:
    """Why nobody can listen there now; empty if somebody can."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Flower's server does
        try:
            one.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return "another program on this computer uses it"
            if error.errno == errno.EACCES:
                return "this user may not listen on so low a port"
            return f"nobody can listen there ({error.strerror})"
    return ""
