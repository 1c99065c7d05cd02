"""strace, attached to a running vault: makes chosen system calls fail or kill."""

import contextlib
import shutil
import signal
import subprocess
import threading

import pytest

WRITES = ("pwrite64", "write", "ftruncate", "fallocate", "fsync", "fdatasync", "rename", "unlink")
"""System calls that change files. strace counts each of them apart, so a test takes one at a time."""

needs_strace = pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")


@contextlib.contextmanager
def injected(pid, calls, action, when="1+"):
    """While the block runs, `calls` of process `pid` suffer `action` ("error=EIO", "signal=KILL").

    `when` counts the calls of each thread from the moment of attaching: "3" the third, "1+" all.
    """
    inject = f"inject={calls}:{action}:when={when}"
    command = ["strace", "-f", "-p", str(pid), "-e", f"trace={calls}", "-e", inject]
    tracer = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    first = tracer.stderr.readline()
    if "attached" not in first:
        tracer.kill()
        tracer.wait()
        pytest.skip(f"strace cannot attach here: {first.strip()}")
    reader = threading.Thread(target=tracer.stderr.read, daemon=True)
    reader.start()
    try:
        yield
    finally:
        tracer.send_signal(signal.SIGINT)  # detach
        tracer.wait(timeout=20)
        reader.join(timeout=20)
        tracer.stderr.close()
