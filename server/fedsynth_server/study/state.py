"""`state.json`: how far a study is, for `fedsynth study watch` and for scripts.

The ServerApp replaces the file whole, so a reader never sees half of it. It says nothing that is not
public: sites by name, steps, what the plan costs, error codes.
"""

import json
import os
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from fedsynth_common.durable import write_durably
from fedsynth_server.messages.session import Session
from fedsynth_server.progress import StudyProgress
from fedsynth_server.training.curves import Recorder

Outcome = Literal["running", "finished", "failed"]
PAUSE = 1.0
"""Seconds between two writes of the same stage: training has thousands of steps."""


@dataclass
class State:
    """What stands in the file.

    Attributes:
        stage: what the study is doing.
        step, of: how far it is with that.
        epsilon_spent: what the messages sent so far may have cost each site.
        epsilon_planned: what the plan may cost each site.
        sites: by name "enrolled", "absent" or "left out".
        waiting: sites that the study waits for at this moment, and why.
        seconds: how long each stage has taken, over all runs of the study.
        notes: sites that failed to answer, were left out or scaled down, and when.
        error: one line, if it failed.
        curves: the training so far, as in `history.json`.
    """

    study: str
    plan: str
    stage: str = "start"
    step: int = 0
    of: int = 1
    epsilon_spent: float = 0.0
    epsilon_planned: float = 0.0
    sites: dict[str, str] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    outcome: Outcome = "running"
    error: str = ""
    run: str = ""
    process: int = 0
    updated: str = ""
    curves: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> "State | None":
        """The state in a file; None if there is none that can be read."""
        try:
            return cls(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None


def begin_anew(path: Path) -> None:
    """Let the state of an earlier run say nothing but how long its stages took."""
    if (before := State.read(path)) is not None:
        fresh = State(before.study, before.plan, seconds=before.seconds)
        write_durably(path, json.dumps(asdict(fresh), indent=1).encode())


class StateFile(StudyProgress):
    """Progress that also goes to `state.json`.

    Attributes:
        seconds: how long each stage has taken so far, from its first sign to the next stage's; those
            of earlier runs of the study, which its last state tells, are counted too.
    """

    def __init__(self, path: Path, state: State) -> None:
        """Report to `path`, where the state of an earlier run may lie."""
        super().__init__()
        self._path, self.state = path, state
        self._session: Session | None = None
        self._recorder: Recorder | None = None
        self._written = 0.0
        self._moved = time.monotonic()
        before = State.read(path)
        self.seconds = dict(before.seconds) if before and before.plan == state.plan else {}
        self._epsilon = lru_cache(maxsize=None)(self._epsilon_of)

    def follow(self, session: Session, recorder: Recorder | None = None) -> None:
        """Take sites, notes and cost from this session, and the curves from this recorder."""
        self._session, self._recorder = session, recorder

    def update(self, phase: str, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` steps of a phase are through."""
        super().update(phase, done, total, note)
        new = phase != self.state.stage or done == total
        self._count_time()
        self.state.stage, self.state.step, self.state.of = phase, done, total
        if new or time.monotonic() - self._written >= PAUSE:
            self.write()

    def waiting(self, sites: dict[str, str]) -> None:
        """Say for which sites the study waits, and why."""
        super().waiting(sites)
        new = [why.partition(";")[0] for why in sites.values()] != [
            why.partition(";")[0] for why in self.state.waiting.values()
        ]
        self.state.waiting = sites
        if new or time.monotonic() - self._written >= PAUSE:
            self.write()

    def spent(self) -> dict[str, float]:
        """Seconds by stage until now, rounded for people; the sums themselves are kept exact."""
        self._count_time()
        return {stage: round(seconds, 1) for stage, seconds in self.seconds.items()}

    def _count_time(self) -> None:
        """Add the time since the last look to the stage that the study is in."""
        now = time.monotonic()
        spent = self.seconds.get(self.state.stage, 0.0) + now - self._moved
        self.seconds[self.state.stage], self._moved = spent, now

    def end(self, outcome: Outcome, error: str = "") -> None:
        """Say how the study ended."""
        self.state.waiting = {}
        self.state.outcome, self.state.error = outcome, error
        self.write()

    def write(self) -> None:
        """Replace the file."""
        state, session = self.state, self._session
        if session is not None:
            state.sites = {site: _standing(session, site) for site in session.plan.sites}
            state.notes = list(session.notes)
            if not session.step:  # who is being waited for
                state.notes += [f"{node}: {why}" for node, why in session.enrolment.refused.items()]
            state.epsilon_spent = self._epsilon(session.step)
        if self._recorder is not None:
            state.curves = [curve.model_dump(mode="json") for curve in self._recorder.curves()]
        state.seconds = self.spent()
        state.process, state.updated = os.getpid(), datetime.now(UTC).isoformat(timespec="seconds")
        write_durably(self._path, json.dumps(asdict(state), indent=1).encode())
        self._written = time.monotonic()

    def _epsilon_of(self, step: int) -> float:
        return self._session.epsilon_spent(step) if self._session else 0.0


def _standing(session: Session, site: str) -> str:
    if site in session.left_out:
        return "left out"
    return "enrolled" if site in session.keys else "absent"
