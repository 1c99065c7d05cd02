"""Finds the cells that a command needs and runs each in a process, several at a time.

Finished cells are skipped, so a run can be continued. A cell without figures is tried again,
because the cause may be gone, unless it was stopped by a time limit that is not larger now.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path

from fedsynth_server.training.duration import spoken
from fedsynth_simulations.benchmarks.cell_results import ROWS, Cell, Outcome, Results
from fedsynth_simulations.benchmarks.tables import Source

NATURAL = "natural"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked for on the command line."""

    sources: Sequence[Source]
    rows: Sequence[str]
    epsilons: Sequence[float]
    delta: float = 1e-5
    sites: int = 5
    partition: str = "iid"
    seeds: int = 3
    quick: bool = False
    jobs: int = 1
    external_folder: str = ".benchmark-env"
    external_limit: float = 7200.0


def cells_of(request: Request) -> list[tuple[Cell, Source]]:
    """All cells of a request, each once, cheap facts first: by table, row, ε, seed."""
    cells: dict[Cell, Source] = {}
    for source in request.sources:
        for name in ROWS:
            if name not in request.rows:
                continue
            for epsilon in request.epsilons if ROWS[name].private else [None]:
                for seed in range(request.seeds if ROWS[name].seeded else 1):
                    cells[_cell(request, source, name, epsilon, seed)] = source
    return list(cells.items())


def _cell(request: Request, source: Source, row: str, epsilon: float | None, seed: int) -> Cell:
    kind = ROWS[row]
    natural = source.site_column is not None
    return Cell(
        table=source.name,
        row=row,
        seed=seed,
        data=source.digest,
        epsilon=epsilon,
        delta=request.delta if kind.private else None,
        sites=request.sites if kind.federated and not natural else None,
        partition=(NATURAL if natural else request.partition) if kind.federated else None,
        quick=request.quick and kind.trained,
    )


def run(request: Request, results: Results, say: Callable[[str], None]) -> list[Cell]:
    """Compute what is missing; returns all cells of the request, in order."""
    cells = cells_of(request)
    todo = [(c, s) for c, s in cells if not results.finished(c, request.external_limit)]
    if len(todo) < len(cells):
        say(f"{len(cells) - len(todo)} of {len(cells)} cells are finished already")
    pool, start = ThreadPoolExecutor(request.jobs), time.monotonic()
    try:
        futures = {pool.submit(_compute, request, c, s): c for c, s in todo}
        for number, future in enumerate(as_completed(futures), start=1):
            outcome = future.result()
            results.add(futures[future], outcome)
            left = (time.monotonic() - start) / number * (len(todo) - number)
            then = f"; {spoken(left)} left" if left else ""
            say(f"[{number}/{len(todo)}] {futures[future].label}: {_brief(outcome)}{then}")
    finally:
        pool.shutdown(cancel_futures=True)
    return [cell for cell, _ in cells]


def _brief(outcome: Outcome) -> str:
    if outcome.not_run:
        return f"not run: {outcome.not_run}"
    auc, pairs = outcome.figures.get("mean_auc"), outcome.figures.get("tvd_2")
    seconds = outcome.figures.get("seconds")
    return f"mean AUC {auc:.3f}, 2-way {pairs:.4f}, {seconds:.0f} s"


def _compute(request: Request, cell: Cell, source: Source) -> Outcome:
    """One cell in a fresh process."""
    external = {"folder": request.external_folder, "limit": request.external_limit}
    job = {"cell": asdict(cell), "source": asdict(source), "external": external}
    with tempfile.TemporaryDirectory(prefix="fedsynth-benchmark-") as name:
        task, result = Path(name, "job.json"), Path(name, "outcome.json")
        task.write_text(json.dumps(job))
        command = [sys.executable, "-m", "fedsynth_simulations.benchmarks.run_one_cell"]
        done = subprocess.run(
            [*command, str(task), str(result)],
            check=False,
            env=_environment(request.jobs),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        if result.exists():
            outcome = Outcome(**json.loads(result.read_text()))
            if " at " in outcome.not_run and "Traceback" in done.stderr:
                sys.stderr.write(done.stderr)
            return outcome
    sys.stderr.write(done.stderr)
    if done.returncode < 0:
        return Outcome(not_run=f"killed by signal {-done.returncode}; out of memory?")
    return Outcome(not_run=f"the process ended with code {done.returncode}")


def _environment(jobs: int) -> dict[str, str]:
    """Divide the cores among the jobs, unless OMP_NUM_THREADS is set already."""
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    return {"OMP_NUM_THREADS": threads, **os.environ}
