"""The mutation gate: a privacy test that no fault can fail proves nothing.

    python tests/privacy/mutants.py [--only NAME] [--jobs 2]

For each mutant of `mutant_table` the packages are copied to a temporary folder, one fragment is
replaced, and only the listed tests run against the copy. First they all run against an unchanged
copy: a test that fails anyway kills nothing. Each run is a fork of this process, which has torch,
Opacus and the accountant in memory already, so that a mutant costs a second and not five.

Exit status 1 if a mutant survives, a fragment no longer matches exactly once, or the unchanged copy
fails; the last output of each such run is printed.
"""

import argparse
import multiprocessing
import os
import shutil
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

import flwr.clientapp  # noqa: F401 - imported before the forks, like the next ones
import hypothesis.extra.numpy  # noqa: F401
import opacus  # noqa: F401
import pandas as pd  # noqa: F401
import pytest
import randomgen  # noqa: F401
import scipy.stats  # noqa: F401
import torch
from dp_accounting.pld import privacy_loss_distribution  # noqa: F401
from opacus.accountants import PRVAccountant  # noqa: F401
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(Path(__file__).parent))

from mutant_table import MUTANTS, Mutant  # noqa: E402 - found through the line above

PACKAGES = (
    "common/fedsynth_common",
    "common/release/fedsynth_release",
    "client/fedsynth_client",
    "server/fedsynth_server",
    "simulations/fedsynth_simulations",
    "fedsynth",
    "adapters/flare/fedsynth_flare",
)
PYTEST = "-x -q -p no:cacheprovider -p no:xdist -W ignore --import-mode=importlib --timeout=120"
PASSED, FAILED = 0, 1  # pytest's exit codes; any other is no verdict


def copy_with(mutant: Mutant, folder: Path) -> None:
    """Copy the packages and apply the mutant; ValueError if its fragment is not there once."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    if mutant.file:
        path = folder / mutant.file
        text = path.read_text()
        if text.count(mutant.old) != 1:
            raise ValueError(f"{mutant.file}: fragment occurs {text.count(mutant.old)} times")
        path.write_text(text.replace(mutant.old, mutant.new))


def import_from(folder: Path) -> None:
    """Let this process, and those it starts, import our packages from the copy."""
    paths = [str((folder / package).parent) for package in PACKAGES]
    sys.path[:0] = paths
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ["HYPOTHESIS_STORAGE_DIRECTORY"] = str(folder / "hypothesis")
    sys.dont_write_bytecode = True


def run(mutant: Mutant) -> tuple[Mutant, str, str]:
    """Return the mutant, "killed", "SURVIVED" or "BROKEN" ("green" if unchanged), and the output."""
    with tempfile.TemporaryDirectory(prefix="fedsynth-mutant-") as name:
        folder = Path(name)
        try:
            copy_with(mutant, folder)
        except ValueError as error:
            return mutant, "BROKEN", str(error)
        log = folder / "output"
        with log.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        import_from(folder)
        os.chdir(ROOT)
        code = pytest.main([*PYTEST.split(), f"--rootdir={ROOT}", *mutant.tests])
        verdict = {PASSED: "SURVIVED", FAILED: "killed"}.get(int(code), "BROKEN")
        if not mutant.file:
            verdict = "green" if code == PASSED else "BROKEN"
        import fedsynth_client

        if not str(fedsynth_client.__file__).startswith(name):
            verdict = "BROKEN"
        return mutant, verdict, log.read_text()[-3000:]


def short(tests: tuple[str, ...]) -> str:
    """Killing tests without their folders."""
    return "\n".join(test.split("/")[-1].replace(".py::", "\n  ") for test in tests)


def report(results: list[tuple[Mutant, str, str]], console: Console) -> bool:
    """Print mutant -> claim -> killing test -> verdict, and claim -> killed; whether all is well."""
    table = Table("mutant", "claim", "killing test", "verdict", title="Mutants")
    claims: defaultdict[int, list[str]] = defaultdict(list)
    killers: defaultdict[int, set[str]] = defaultdict(set)
    for mutant, verdict, _ in results:
        good = verdict in {"killed", "green"}
        colour = "green" if good else "bold red"
        tests = short(mutant.tests) if mutant.file else f"all {len(mutant.tests)}"
        table.add_row(
            mutant.name, str(mutant.claim or ""), tests, f"[{colour}]{verdict}[/{colour}]"
        )
        if mutant.file:
            claims[mutant.claim].append(verdict)
            killers[mutant.claim].update(mutant.tests)
    console.print(table)
    unchanged = next(verdict for mutant, verdict, _ in results if not mutant.file)
    summary = Table("claim", "tests", "mutants killed", title="Claims of PRIVACY.md")
    for claim, verdicts in sorted(claims.items()):
        killed = f"{verdicts.count('killed')} of {len(verdicts)}"
        summary.add_row(str(claim), f"{len(killers[claim])} {unchanged}", killed)
    console.print(summary)
    bad = [result for result in results if result[1] not in {"killed", "green"}]
    for mutant, verdict, output in bad:
        console.print(f"\n{mutant.name}: {verdict}", style="bold red")
        console.print(output, markup=False, highlight=False)
    return not bad


def main() -> int:
    """Run the mutants that `--only` selects, `--jobs` at a time."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="mutants whose name contains this")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    chosen = [mutant for mutant in MUTANTS if options.only in mutant.name]
    if not chosen:
        parser.error(f"--only {options.only}: no mutant has this in its name")
    tests = tuple(sorted({test for mutant in chosen for test in mutant.tests}))
    work = [Mutant("(unchanged code)", 0, "", "", "", tests), *chosen]
    console = Console(width=110 if not sys.stdout.isatty() else None)
    torch.set_num_threads(1)
    pool = multiprocessing.get_context("fork").Pool(options.jobs, maxtasksperchild=1)
    results = []
    with pool:
        for number, result in enumerate(pool.imap(run, work, chunksize=1), start=1):
            results.append(result)
            print(f"\r{number} of {len(work)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return 0 if report(results, console) else 1


if __name__ == "__main__":
    sys.exit(main())
