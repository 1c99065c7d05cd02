"""Flower's SuperNode, in a process that ends when SuperNode does.

    python -P -m fedsynth_client.connection.supernode [options of flower-supernode]

When Flower 1.41 gives a connection up (a TLS handshake that times out during a silent network does it,
after thirty seconds), its main thread ends with a traceback, but its other threads keep the process
alive: the site looks alive and is not connected, and nothing starts it again because nothing ended.
Here the process ends when its main thread ends, so that `flower_processes` starts it again. The exit
code says when starting again is of no use (`untrusted_certificate`).
"""

import os
import sys
import traceback

from flwr.supernode.cli import flower_supernode

from fedsynth_client.connection.untrusted_certificate import certificate_fault


def main() -> None:
    """Run SuperNode; never returns."""
    code = 1
    try:
        flower_supernode()
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
        code = certificate_fault(ended) or code
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
