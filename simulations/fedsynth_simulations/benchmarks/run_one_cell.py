"""Runs one benchmark cell in a process of its own.

Usage: `python -m fedsynth_simulations.benchmarks.run_one_cell JOB RESULT`.

Each cell has a process of its own. Its peak memory is then really its own, a crash loses a single
cell, and the memory that torch keeps is freed. JOB and RESULT are JSON files. Time and memory are
measured before the figures are computed, so they are those of the synthesiser. The memory includes
the imported libraries; the time does not include importing them.

If a cell fails, the reason is recorded. For errors that fedsynth did not raise, only the type and
place of the exception are recorded, because messages of libraries can quote cells of the table.
"""

import json
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path

from fedsynth_common.errors import FedsynthError
from fedsynth_release.evaluation import evaluate
from fedsynth_simulations.benchmarks.cell_results import Cell, Outcome
from fedsynth_simulations.benchmarks.external import External, TimeLimit
from fedsynth_simulations.benchmarks.memory import peak_megabytes
from fedsynth_simulations.benchmarks.row_makers import maker_of
from fedsynth_simulations.benchmarks.tables import Source, load


def compute(cell: Cell, source: Source, external: External) -> Outcome:
    """The figures of a cell, or the reason why there are none."""
    try:
        return _figures(cell, source, external)
    except TimeLimit as error:
        return Outcome(not_run=str(error), limit=external.limit)
    except FedsynthError as error:
        return Outcome(not_run=str(error))
    except Exception as error:  # one broken row must not stop the others
        traceback.print_exc()
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        return Outcome(not_run=f"{type(error).__name__} at {where}")


def _figures(cell: Cell, source: Source, external: External) -> Outcome:
    table, maker = load(source), maker_of(cell.row)
    start = time.monotonic()
    result = maker(cell, table, external)
    seconds = time.monotonic() - start
    peak = peak_megabytes() if result.peak_megabytes is None else result.peak_megabytes
    card = evaluate(table.train, table.test, result.frame, table.schema).to_dict()
    spent = {
        "epsilon_spent": result.epsilon_spent,
        "seconds": round(seconds, 2),
        "peak_megabytes": round(peak, 1),
        "bytes_per_site": result.bytes_per_site,
    }
    return Outcome(figures={**card, **spent}, notes=list(result.notes))


def main(job: Path, result: Path) -> None:
    """Read a job, compute its cell, write the outcome."""
    task = json.loads(job.read_text())
    outcome = compute(Cell(**task["cell"]), Source(**task["source"]), External(**task["external"]))
    result.write_text(json.dumps(asdict(outcome)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
