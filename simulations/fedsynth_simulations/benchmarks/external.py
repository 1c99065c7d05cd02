"""Runs MST and AIM, two published central methods, in an environment of their own.

Both work on integer codes under a public codebook. Their codebook is chosen as in our studies. A
tenth of the budget (ρ of zero-concentrated DP) is spent on noisy histograms of the fine cells.
`read_histograms` makes bins from them, and the methods get the one-way marginals of this release as
measurements that are already paid for. Our decoder turns their output back into records. The results
therefore differ from ours only in the method, and not in bins or decoding.

Privacy: ρ is the largest for which ρ-zCDP implies (ε, δ), by the conversion of Canonne, Kamath &
Steinke 2020 (2004.00010v5, Corollary 13), as in the published implementations. No tighter standard
account exists for their selection steps (exponential mechanisms). Our own rows use the exact
accountant, which makes the noise a few per cent smaller.

`mbi` needs jax, so it has an environment of its own (`fedsynth benchmark external-env DIR`). The two
programs exchange only a .npz file without pickled objects; see `mbi_driver.py`.
"""

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize_scalar

from fedsynth_client.records.records import Records
from fedsynth_client.vault.measure import Axis, Marginal, Measurement, noisy_counts_of
from fedsynth_common.array_types import UInt16Array
from fedsynth_common.encoding import encode
from fedsynth_common.errors import FedsynthError, InputError
from fedsynth_common.privacy.randomness import SeededRandomness
from fedsynth_common.protocol.plan import MeasureStep
from fedsynth_common.schema import Schema, domains
from fedsynth_release.decoding import Codebook, decode
from fedsynth_server.aggregation.histograms import read_histograms
from fedsynth_server.aggregation.marginal_queries import histogram_queries
from fedsynth_server.aggregation.marginals import estimated_size
from fedsynth_simulations.benchmarks.memory import peak_megabytes

REQUIREMENTS = ("mbi==2.0.0",)
NETWORK_REQUIREMENTS = (
    *("ctgan==0.12.1", "deepecho==0.8.1", "mostlyai-engine==2.7.3"),
    "torch>=2.13,<2.14",
)
NETWORKS_WITHOUT = ("torchvision", "torchaudio")
"""Packages that mostlyai-engine requires but tables do not; they break its import on CPU torch."""
NETWORKS = "-networks"
"""What the folder of the second environment is called after the first's name."""
HISTOGRAM_SHARE = 0.1
_POLL_SECONDS = 0.2
_DRIVER_SEEDS = 1_000_000  # so that its noise and our decoding draw from different streams


class TimeLimit(FedsynthError):  # noqa: N818 - an outcome, not a fault
    """The external method took longer than it was given."""


@dataclass(frozen=True)
class External:
    """Where the external methods live and how long each may take."""

    folder: str = ".benchmark-env"
    limit: float = 7200.0

    @property
    def networks(self) -> "External":
        """The environment of CTGAN and TabularARGN, beside that of MST and AIM."""
        return replace(self, folder=self.folder.rstrip("/") + NETWORKS)

    @property
    def python(self) -> Path:
        """Its interpreter."""
        parts = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
        return Path(self.folder).absolute().joinpath(*parts)

    def check(self, arguments: str) -> None:
        """Refuse, where it is missing, with the `arguments` of `external-env` that build it."""
        if not self.python.is_file():
            raise InputError(
                f"no environment in {self.folder}; build it with "
                f"`fedsynth benchmark external-env {arguments}`"
            )


@dataclass
class ExternalTable:
    """Synthetic records and the peak memory of the process that made them."""

    frame: pd.DataFrame
    peak_megabytes: float


def build_environment(folder: Path, *, networks: bool = False) -> None:
    """A virtual environment in `folder`, with mbi or, for `networks`, with CTGAN and TabularARGN.

    Raises:
        InputError: `folder` is in use.
        FedsynthError: it could not be built; pip's output says why.
    """
    if folder.exists() and any(folder.iterdir()):
        raise InputError(f"{folder}: is not empty; choose a new folder")
    pip = [str(External(str(folder)).python), "-m", "pip"]
    requirements = NETWORK_REQUIREMENTS if networks else REQUIREMENTS
    commands = [
        [sys.executable, "-m", "venv", str(folder)],
        [*pip, "install", "--quiet", *requirements],
    ]
    if networks:
        commands.append([*pip, "uninstall", "--quiet", "--yes", *NETWORKS_WITHOUT])
    for command in commands:
        if subprocess.run(command, check=False).returncode:
            raise FedsynthError(f"{folder}: could not be built; see the output above")


def zcdp_epsilon(rho: float, delta: float) -> float:
    """ε of ρ-zCDP at δ: the least over Rényi orders (2004.00010v5, Corollary 13).

    >>> round(zcdp_epsilon(0.02, 1e-5), 3)
    0.794
    """

    def at(log_excess: float) -> float:
        alpha = 1 + math.exp(log_excess)
        return rho * alpha + math.log1p(-1 / alpha) - math.log(delta * alpha) / (alpha - 1)

    return max(0.0, float(minimize_scalar(at, bounds=(-5, 12), method="bounded").fun))


def rho_of(epsilon: float, delta: float) -> float:
    """The largest ρ within (ε, δ), by bisection from below."""
    low, high = 0.0, epsilon + 1.0
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if zcdp_epsilon(middle, delta) <= epsilon else (low, middle)
    return low


def synthesise(
    method: str,
    train: pd.DataFrame,
    schema: Schema,
    *,
    epsilon: float,
    delta: float,
    seed: int,
    external: External,
) -> ExternalTable:
    """As many records as `train` has, by "mst" or "aim".

    Raises:
        InputError: the environment is missing.
        TimeLimit: the method was stopped.
        FedsynthError: the method failed.
    """
    external.check(external.folder)
    rho, rng = rho_of(epsilon, delta), np.random.default_rng(seed)
    fine = encode(train, schema, extra="ignore").codes
    codebook, arrays = _public_codes(fine, schema, HISTOGRAM_SHARE * rho, seed)
    arrays |= {
        "codes": codebook.apply(fine),
        "widths": np.array(codebook.widths),
        "rho": np.array((1 - HISTOGRAM_SHARE) * rho),
        "rows": np.array(len(fine)),
        "seed": np.array(_DRIVER_SEEDS + seed),
    }
    codes, peak = drive("mbi_driver.py", method, arrays, external)
    return ExternalTable(decode(codebook.to_fine(codes, rng), schema, rng), peak)


def _public_codes(
    fine: UInt16Array, schema: Schema, rho: float, seed: int
) -> tuple[Codebook, dict[str, npt.NDArray[Any]]]:
    """A codebook from noisy histograms that cost `rho`, and the one-way marginals in its codes."""
    columns = domains(schema)
    step = MeasureStep(step=1, purpose="histograms", noise_multiplier=math.sqrt(1 / (2 * rho)))
    queries = histogram_queries(columns, step, 1)
    marginals = [
        Marginal(
            axes=tuple(
                Axis(column, width, None if view < 0 else view)
                for (column, view), width in zip(query.axes, query.shape, strict=True)
            ),
            variance=queries.variance,
        )
        for query in queries.marginals
    ]
    counts = noisy_counts_of(
        Records(fine), Measurement(queries.views, tuple(marginals)), SeededRandomness(seed)
    )
    tables = queries.tables(counts)
    size = estimated_size(tables, float(queries.variance))
    histograms = read_histograms(schema, columns, queries, {"all": tables}, {"all": size})
    first, records = histograms.one_way, histograms.records
    arrays: dict[str, npt.NDArray[Any]] = {
        f"first_{j}": marginal.frequencies * records for j, marginal in enumerate(first)
    }
    arrays["first_std"] = np.array([math.sqrt(m.variance) * records for m in first])
    return histograms.codebook, arrays


def drive(
    driver: str, method: str, arrays: Mapping[str, npt.NDArray[Any]], external: External
) -> tuple[npt.NDArray[Any], float]:
    """Run a driver of this folder in its environment; synthetic codes and its peak memory.

    Raises:
        TimeLimit: the method was stopped.
        FedsynthError: the method failed.
    """
    script = Path(__file__).with_name(driver)
    with tempfile.TemporaryDirectory(prefix="fedsynth-external-") as name:
        source, result = Path(name, "in.npz"), Path(name, "out.npz")
        np.savez(source, **arrays)  # type: ignore[arg-type]
        command = [str(external.python), str(script), method, str(source), str(result)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        peak = 0.0
        end = time.monotonic() + external.limit
        while process.poll() is None:
            peak = max(peak, peak_megabytes(process.pid))
            if time.monotonic() > end:
                process.kill()
                process.wait()
                raise TimeLimit(f"stopped after {external.limit:g} s (--external-limit)")
            time.sleep(_POLL_SECONDS)
        if process.returncode:
            raise FedsynthError(f"{method}: the driver ended with code {process.returncode}")
        with np.load(result, allow_pickle=False) as stored:
            return stored["codes"], peak
