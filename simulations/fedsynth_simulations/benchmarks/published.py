"""Benchmarks that others have published figures of, each with the publisher's metric.

`nist`: the Massachusetts 2019 extract of NIST's Diverse Community Data Excerpts, all 24 columns, with
the reviewed schema `schemas/nist_acs_ma2019.json` and the published number of records, by the
k-marginal score (`k_marginal.py`). A subsample of 40 % is the yardstick that NIST prints beside scores.

`heterofedsyn`: Adult dealt out at random to K sites that each add their own noise, as in HeteroFedSyn
(2025). Its released tables at ε = 5 have a 2-way TVD of .215-.226 and a target AUC of .79-.84 by our
scorer on its split; here the split is that of the other benchmarks, and ε = 1 at δ = 1e-10.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np
import pandas as pd

import fedsynth_simulations
from fedsynth_common.protocol.plan import Trust
from fedsynth_common.schema import Schema
from fedsynth_common.tables import read_table
from fedsynth_release.evaluation.discretise import Discretiser
from fedsynth_release.evaluation.fidelity import tvd
from fedsynth_release.evaluation.utility import tstr
from fedsynth_simulations.benchmarks.k_marginal import k_marginal
from fedsynth_simulations.benchmarks.tables import find, load
from fedsynth_simulations.partition import partition
from fedsynth_simulations.simulate import Simulation, simulate

Name = Literal["nist", "heterofedsyn"]
NIST, NIST_RECORDS, NIST_SHARE = "nist_acs_ma2019", 7_634, 0.4
DELTAS: Mapping[Name, float] = {"nist": 1e-5, "heterofedsyn": 1e-10}
SITES: Mapping[Name, tuple[int, ...]] = {"nist": (1, 5), "heterofedsyn": (5, 10, 25)}
EPSILONS: Mapping[Name, tuple[float, ...]] = {"nist": (1.0, 10.0), "heterofedsyn": (1.0,)}


@dataclass(frozen=True)
class Asked:
    """What is to be computed: every ε at every number of sites with every seed.

    Attributes:
        name: of the benchmark.
        data: folder of the tables.
        epsilons: budgets.
        sites: numbers of sites.
        seeds: how many.
        trust: who makes the noise.
        simulation: everything else about the studies.
    """

    name: Name
    data: Path
    epsilons: tuple[float, ...]
    sites: tuple[int, ...]
    seeds: int
    trust: Trust
    simulation: Simulation


@dataclass(frozen=True)
class Published:
    """One row: a study, or with ε = 0 a yardstick that is not private. Figures by name."""

    benchmark: str
    row: str
    epsilon: float
    sites: int
    seed: int
    figures: Mapping[str, float]
    seconds: float


def published(asked: Asked) -> Iterator[Published]:
    """The rows, one after the other."""
    rows = _nist(asked) if asked.name == "nist" else _heterofedsyn(asked)
    yield from rows


def schema_of(name: str) -> Schema:
    """A reviewed schema that is shipped."""
    return Schema.load(Path(fedsynth_simulations.__file__).parent / f"schemas/{name}.json")


def _nist(asked: Asked) -> Iterator[Published]:
    frame, schema = read_table(asked.data / f"{NIST}.csv.gz"), schema_of(NIST)
    for seed in range(asked.seeds):
        part = frame.sample(frac=NIST_SHARE, random_state=seed)
        score = {"k_marginal": k_marginal(frame, part)}
        yield Published(asked.name, "40 % subsample, not private", 0.0, 1, seed, score, 0.0)
    for sites, epsilon, seed in _cells(asked):
        size = NIST_RECORDS // sites
        drawn, seconds = _drawn(asked, frame, schema, sites, epsilon, seed, size)
        score = {"k_marginal": k_marginal(frame, drawn)}
        yield Published(asked.name, _row(asked), epsilon, sites, seed, score, seconds)


def _heterofedsyn(asked: Asked) -> Iterator[Published]:
    table, schema = load(find("adult", asked.data, None, False)), schema_of("adult")
    levels = Discretiser.fit(schema, table.train)
    real = levels.transform(table.train)
    for sites, epsilon, seed in _cells(asked):
        drawn, seconds = _drawn(asked, table.train, schema, sites, epsilon, seed, None)
        figures = {
            "tvd_2": tvd(real, levels.transform(drawn)),
            "target_auc": tstr(drawn, table.test, schema, str(schema.target)),
        }
        yield Published(asked.name, _row(asked), epsilon, sites, seed, figures, seconds)


def _cells(asked: Asked) -> Iterator[tuple[int, float, int]]:
    for sites in asked.sites:
        for epsilon in asked.epsilons:
            for seed in range(asked.seeds):
                yield sites, epsilon, seed


def _row(asked: Asked) -> str:
    noise = "secure sum" if asked.trust == "secure-sum" else "local noise"
    return f"fedsynth, {asked.simulation.variant}, {noise}"


def _drawn(
    asked: Asked,
    frame: pd.DataFrame,
    schema: Schema,
    sites: int,
    epsilon: float,
    seed: int,
    size: int | None,
) -> tuple[pd.DataFrame, float]:
    """As many synthetic records as there are real ones, and the seconds of the study."""
    frames = partition(frame, sites, "iid", np.random.default_rng(seed))
    simulation = replace(
        asked.simulation,
        epsilon=epsilon,
        delta=DELTAS[asked.name],
        trust=asked.trust,
        seed=seed,
        settings=asked.simulation.settings.model_copy(update={"seed": seed}),
        records_per_site=size,
    )
    start = time.monotonic()
    with TemporaryDirectory(prefix="fedsynth-benchmark-") as folder:
        generator = simulate(frames, schema, simulation, Path(folder)).generator
    return generator.sample(len(frame), seed), time.monotonic() - start
