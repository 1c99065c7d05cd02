"""The courier's two ports on the loopback interface: which are taken, and which are free.

If another courier of this computer uses the same ports, a SuperExec would ask the other site's SuperNode
for work. So the ports are looked at before anything is started.
"""

import socket
from collections.abc import Mapping

_HIGHEST = 65535


def taken_ports(named: Mapping[str, int]) -> list[str]:
    """A line for each port, by its name in courier.toml, that another program or another name has."""
    reasons = []
    for name, port in named.items():
        if not is_free(port):
            reasons.append(
                f"{name} {port}: another program on this computer uses it, perhaps another courier; "
                f"write a free one into courier.toml, for example {name} = {free_from(port + 1)}"
            )
    if len(set(named.values())) < len(named):
        reasons.append(f"{' and '.join(named)}: are the same port; make them two in courier.toml")
    return reasons


def is_free(port: int) -> bool:
    """Whether a program could listen on this port of the loopback interface now."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Flower's server does
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_from(port: int) -> int:
    """The first free port from `port` on; `port` itself if none is."""
    return next((other for other in range(port, _HIGHEST + 1) if is_free(other)), port)
