"""Compares our figures with those of two published libraries, on the same encoded tables.

- SDMetrics 0.32 (MIT): KSComplement, TVComplement, CorrelationSimilarity and ContingencySimilarity
  have the same definitions as our figures and must agree to 1e-6.
- Anonymeter 1.1 (BSD 3-Clause Clear): its attacks draw other targets and predicates. The rates must
  agree within the interval of their difference (Wilson intervals, combined as a root of squares).
  There are as many training as control rows, because its correction for size differs from ours (see
  `singling_out`).

Both libraries exclude pandas 3 or numpy 2 in their metadata, but work with them. They are therefore
installed without their dependencies, in an environment of their own (`fedsynth benchmark
cross-check-env DIR`). The two programs exchange a .npz file without pickled objects and a JSON
file.
"""

import json
import math
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fedsynth_common.array_types import Float64Array
from fedsynth_common.errors import FedsynthError, InputError
from fedsynth_release.evaluation.association import pearson
from fedsynth_release.evaluation.attacks import ATTACKS, AttackSetup
from fedsynth_release.evaluation.attacks.inference import right_guesses
from fedsynth_release.evaluation.gower import Gower
from fedsynth_release.evaluation.intervals import rate
from fedsynth_release.evaluation.references import leaky_table
from fedsynth_release.evaluation.result_parts import Estimate
from fedsynth_release.evaluation.shapes import ks_complement, tv_complement
from fedsynth_simulations.benchmarks.external import External
from fedsynth_simulations.benchmarks.tables import BenchmarkTable

DEPENDENCIES = (
    "numpy",
    "pandas>=3,<4",
    "scipy",
    "scikit-learn",
    "joblib",
    "numba",
    "polars",
    "plotly",
    "tqdm",
)
CHECKED = ("sdmetrics==0.32.0", "anonymeter==1.1.0")
FOLDER = ".cross-check-env"
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Agreement:
    """One figure in both implementations, and how much they may differ."""

    library: str
    figure: str
    ours: float
    theirs: float
    allowed: float

    @property
    def agrees(self) -> bool:
        """Whether the difference is allowed."""
        return abs(self.ours - self.theirs) <= self.allowed


def build_environment(folder: Path) -> None:
    """A virtual environment with both libraries in `folder`.

    Raises:
        InputError: `folder` is in use.
        FedsynthError: it could not be built; pip's output says why.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: is not empty; choose a new folder")
    python = str(External(str(folder)).python)
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [python, "-m", "pip", "install", "--quiet", *DEPENDENCIES],
        [python, "-m", "pip", "install", "--quiet", "--no-deps", *CHECKED],
    ):
        if subprocess.run(command, check=False).returncode:
            raise FedsynthError(f"{folder}: could not be built; see the output above")


def cross_check(
    table: BenchmarkTable, folder: Path, rows: int = 1500, attacks: int = 500, seed: int = 0
) -> list[Agreement]:
    """Compare all figures on `rows` training and as many held-out rows of a table.

    The published table is the leaky generator's, so that attacks have something to find.

    Raises:
        InputError: the environment is missing, or the table is too small.
        FedsynthError: the libraries failed.
    """
    python = External(str(folder)).python
    if not python.is_file():
        raise InputError(
            f"no environment in {folder}; build it with `fedsynth benchmark cross-check-env {folder}`"
        )
    size = min(rows, len(table.train), len(table.test))
    train, control = table.train.head(size), table.test.head(size)
    leaky = leaky_table(train, size, np.random.default_rng(seed))
    setup = AttackSetup.of(train, control, table.schema, attempts=min(attacks, size), seed=seed)
    columns = [j for j in range(setup.members.shape[1]) if _usable(setup, j)]
    setup = _restricted(setup, columns)
    published = AttackSetup.of(leaky, control, table.schema).members[:, columns]
    secret = len(columns) - 1
    theirs = _theirs(python, setup, published, secret)
    fidelity = _fidelity(setup, published, theirs["sdmetrics"])
    return fidelity + _attacks(setup, published, secret, theirs["anonymeter"])


def _usable(setup: AttackSetup, column: int) -> bool:
    """Whether a column can be compared; Anonymeter treats missing numbers differently."""
    numbers = np.concatenate([setup.members[:, column], setup.controls[:, column]])
    return bool(setup.categorical[column] or not np.isnan(numbers).any())


def _restricted(setup: AttackSetup, columns: list[int]) -> AttackSetup:
    features = type(setup.features)(
        tuple(setup.features.columns[j] for j in columns),
        setup.features.centres[columns],
        setup.features.spreads[columns],
    )
    return AttackSetup(
        features, setup.members[:, columns], setup.controls[:, columns], setup.attempts, setup.seed
    )


def _theirs(
    python: Path, setup: AttackSetup, published: Float64Array, secret: int
) -> dict[str, Any]:
    driver = Path(__file__).with_name("cross_check_driver.py")
    with tempfile.TemporaryDirectory(prefix="fedsynth-cross-check-") as name:
        source, result = Path(name, "in.npz"), Path(name, "out.json")
        np.savez(
            source,
            train=setup.members,
            control=setup.controls,
            synthetic=published,
            categorical=setup.categorical,
            attacks=np.array(setup.attempts),
            secret=np.array(secret),
        )
        done = subprocess.run(
            [str(python), str(driver), str(source), str(result)],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise FedsynthError(f"{python}: the libraries failed: {last}")
        figures: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return figures


def _fidelity(
    setup: AttackSetup, published: Float64Array, theirs: dict[str, float]
) -> list[Agreement]:
    real, flags = setup.members, setup.categorical
    names = [column.name for column in setup.features.columns]
    agreements = []
    for key, value in theirs.items():
        kind, *places = key.split()
        i, j = int(places[0]), int(places[-1])
        if kind == "shape":
            metric = tv_complement if flags[i] else ks_complement
            ours, label = metric(real[:, i], published[:, i]), names[i]
        elif flags[i]:
            ours = tv_complement(_joint(real, i, j), _joint(published, i, j))
            label = f"{names[i]} x {names[j]}"
        else:
            gap = pearson(real[:, i], real[:, j]) - pearson(published[:, i], published[:, j])
            ours, label = 1 - abs(gap) / 2, f"{names[i]} x {names[j]}"
        agreements.append(Agreement("sdmetrics", f"{kind}: {label}", ours, value, TOLERANCE))
    return agreements


def _joint(cells: Float64Array, i: int, j: int) -> Float64Array:
    """Codes of a pair of levels, missing being a level."""
    first, second = (np.where(np.isnan(cells[:, k]), -1, cells[:, k]) + 1 for k in (i, j))
    return np.asarray(first * 100_000 + second)


def _attacks(
    setup: AttackSetup, published: Float64Array, secret: int, theirs: dict[str, list[int]]
) -> list[Agreement]:
    agreements = []
    for name, (won, lost, tried) in theirs.items():
        if name == "inference":
            ours = _inference(setup, published, secret)
        else:
            run = next(kind.run for kind in ATTACKS if kind.name == name)
            result = run(published, setup, "leaky")
            ours = (result.success, result.control)
        rates = (rate(won, tried), rate(lost, tried))
        for side, mine, other in zip(("members", "controls"), ours, rates, strict=True):
            allowed = math.hypot(_half(mine), _half(other))
            agreements.append(
                Agreement("anonymeter", f"{name}, {side}", mine.value, other.value, allowed)
            )
    return agreements


def _inference(
    setup: AttackSetup, published: Float64Array, secret: int
) -> tuple[Estimate, Estimate]:
    members, controls = setup.targets(setup.rng())
    space = Gower.fit(np.concatenate([members, controls, published]), setup.categorical, "range")
    secrets = np.full(len(members), secret)
    one, two = (right_guesses(space, side, published, secrets) for side in (members, controls))
    return rate(one, len(members)), rate(two, len(controls))


def _half(estimate: Estimate) -> float:
    return max(estimate.high - estimate.value, estimate.value - estimate.low)
