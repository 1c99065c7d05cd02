"""Processes that a command starts and keeps: they end when it ends, and are given time to end."""

import ctypes
import signal
import subprocess


def end_with_parent() -> None:
    """For `preexec_fn`: the process ends when the command that started it does, even if that was killed.

    Works on Linux. No other thread may be running in the command when it starts the process.
    """
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def end(process: "subprocess.Popen[bytes]", grace: float) -> None:
    """Send SIGTERM and wait; SIGKILL after `grace` seconds."""
    process.terminate()
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
