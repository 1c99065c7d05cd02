"""What a coordinator may see of a study, as one look: for `study status`, `watch` and the page.

The state is in `state.json`, which the ServerApp writes. The SuperLink is asked as well about the run,
because a ServerApp that died would otherwise seem to be at work without end, and about the couriers. All
of it is public or comes from noisy messages; nothing that depends on a record is in it.
"""

import time
from datetime import UTC, datetime
from typing import Any

from fedsynth_common.errors import FedsynthError
from fedsynth_release.report.history import StudyHistory
from fedsynth_server.study.folder import StudyFolder
from fedsynth_server.study.state import State
from fedsynth_server.superlink.control import RunStatus, SuperLink, UnreachableError

LAST_WORDS = 5.0
"""Seconds after the end of a run in which its ServerApp may still write its last state."""
TAKEN_UP = 15.0
"""Seconds within which a SuperExec that runs takes a new run up."""
NOBODY = "no SuperExec takes the run up: see whether fedsynth coordinator start runs, and its log"


class StudyWatch:
    """Looks at a study again and again."""

    def __init__(self, study: StudyFolder, link: SuperLink) -> None:
        self._study, self._link, self._plan = study, link, study.plan()
        self._over: tuple[int, float] = 0, 0.0

    def state(self) -> State:
        """How far the latest run is; a run that ended without a word has failed.

        Raises:
            FedsynthError: the SuperLink refuses to tell.
        """
        run = self._study.run_id() or 0
        try:
            status = self._link.status(run)
        except UnreachableError:
            status = RunStatus("unreachable")
        plan = self._plan
        state = State.read(self._study.state_file)
        if state is None or state.run != str(run):  # that of an earlier run does not count
            state = State(plan.study, plan.digest, epsilon_planned=plan.epsilon, run=str(run))
        state.stage = state.stage if state.process else f"SuperLink: {status}"
        if status.status == "pending" and _seconds_since(status) >= TAKEN_UP:
            state.notes = [*state.notes, NOBODY]
        if state.outcome == "running" and status.over and self._silent(run, status):
            state.outcome = "failed"
            state.error = _last_words(status.outcome, status.details)
        return state

    def _silent(self, run: int, status: RunStatus) -> bool:
        """Whether the ServerApp of a run that is over can have nothing more to say."""
        if self._over[0] != run:
            self._over = run, time.monotonic()
        return max(time.monotonic() - self._over[1], _seconds_since(status)) >= LAST_WORDS

    def facts(self) -> dict[str, Any]:
        """All that `study status --json` prints, and that the page shows.

        Raises:
            FedsynthError: the folder has no plan.
        """
        run, plan = self._study.run_id(), self._plan
        if run is None:
            state = State(plan.study, plan.digest, stage="", epsilon_planned=plan.epsilon)
        else:
            state = self.state()
        couriers, reached = self._couriers()
        return {
            "study": plan.study,
            "plan": plan.digest,
            "run": run,
            "outcome": state.outcome if run is not None else "not started",
            "error": state.error,
            "superlink": reached,
            "phase": state.stage,
            "step": state.step,
            "of": state.of,
            "seconds_left_in_phase": _seconds_left(state),
            "seconds": state.seconds,
            "epsilon_spent": state.epsilon_spent,
            "epsilon_planned": state.epsilon_planned,
            "sites": {
                site: {
                    "standing": state.sites.get(site, "absent"),
                    "courier": couriers.get(site, "not admitted") if reached else "not known",
                    "waiting": state.waiting.get(site, ""),
                }
                for site in plan.sites
            },
            "warnings": state.notes,
            "updated": state.updated,
            "curves": self._curves(state),
        }

    def _couriers(self) -> tuple[dict[str, str], bool]:
        """Each site's courier: "online" if one of its name is; whether the SuperLink answered."""
        try:
            listed = self._link.couriers()
        except FedsynthError:
            return {}, False
        found: dict[str, str] = {}
        for one in listed:
            if found.get(one.name) != "online":
                found[one.name] = one.status
        return found, True

    def _curves(self, state: State) -> list[dict[str, Any]]:
        """Of the training as it goes; those of the finished study are in its history."""
        if not self._study.history.is_file():
            return list(state.curves)
        history = StudyHistory.load(self._study.history)
        return [curve.model_dump(mode="json") for curve in history.curves]


def _seconds_left(state: State) -> float | None:
    """About how long the phase goes on if it goes on as it did; None before its first step."""
    if state.outcome != "running" or not 0 < state.step <= state.of:
        return None
    return round(state.seconds.get(state.stage, 0.0) * (state.of - state.step) / state.step, 1)


def _seconds_since(status: RunStatus) -> float:
    """How long a run has its status; 0 if that is not known."""
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(status.since)).total_seconds()
    except (ValueError, TypeError):  # empty, or without a time zone
        return 0.0


def _last_words(outcome: str, details: str) -> str:
    if outcome == "stopped":
        return "stopped; continue with: fedsynth study resume"
    return (
        f"the ServerApp ended without a word ({outcome}: {details or 'no details'}): it was killed, or "
        "the memory was used up; continue with: fedsynth study resume"
    )
