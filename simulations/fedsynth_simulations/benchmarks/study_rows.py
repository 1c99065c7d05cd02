"""The rows that run fedsynth itself: studies over all sites, over one site, or over pooled records.

All rows have the same budget, settings and seed; the table in `row_makers.py` says how they differ.
The rows without federation use fedsynth's default variant, as a hospital on its own would.
"""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from fedsynth_common.protocol.plan import Trust
from fedsynth_server.study.planning import Variant
from fedsynth_simulations.benchmarks.cell_results import Cell
from fedsynth_simulations.benchmarks.external import External
from fedsynth_simulations.benchmarks.maker_types import Made, Maker
from fedsynth_simulations.benchmarks.tables import BenchmarkTable
from fedsynth_simulations.partition import partition
from fedsynth_simulations.simulate import Simulation, quick, simulate

Frames = dict[str, pd.DataFrame]
_SITE = "site of the record"


def site_frames(cell: Cell, table: BenchmarkTable) -> Frames:
    """The train rows by site."""
    return frames_of(table, cell.sites or 1, cell.partition or "iid", cell.seed)


def frames_of(table: BenchmarkTable, sites: int, how: str, seed: int) -> Frames:
    """The train rows by site: the table's own sites, or `sites` that are made up."""
    rng = np.random.default_rng(seed)
    if table.sites is None:
        return partition(table.train, sites, how, rng, target=table.schema.target)
    named = table.train.assign(**{_SITE: table.sites})
    return partition(named, 1, "iid", rng, site_column=_SITE)


def _study(
    cell: Cell,
    table: BenchmarkTable,
    frames: Frames,
    *,
    variant: Variant | None = None,
    control: bool = False,
    trust: Trust = "local",
    site_marginals: bool = False,
) -> Made:
    """A simulated study over `frames`."""
    usual = Simulation()
    settings = usual.settings.model_copy(update={"seed": cell.seed})
    if control:
        settings = settings.model_copy(update={"adversarial_weight": 0.0})
    simulation = replace(
        usual,
        epsilon=cell.epsilon or usual.epsilon,
        delta=cell.delta or usual.delta,
        variant=variant or usual.variant,
        trust=trust,
        site_marginals=site_marginals,
        settings=settings,
        seed=cell.seed,
    )
    if cell.quick:
        simulation = quick(simulation)
    with TemporaryDirectory(prefix="fedsynth-benchmark-") as folder:
        result = simulate(frames, table.schema, simulation, Path(folder))
    rows = sum(len(frame) for frame in frames.values())
    return Made(
        result.generator.sample(rows, cell.seed),
        result.generator.statement.epsilon_if_people_are_at_one_site_only,
        result.outcome.bytes_per_site,
        notes=tuple(result.outcome.notes),
    )


def _federated(variant: Variant, control: bool = False) -> Maker:
    def run(cell: Cell, table: BenchmarkTable, external: External) -> Made:
        return _study(cell, table, site_frames(cell, table), variant=variant, control=control)

    return run


def _summed(variant: Variant, control: bool = False) -> Maker:
    """Of pairs and of gradients the coordinator sees the sum over the sites."""

    def run(cell: Cell, table: BenchmarkTable, external: External) -> Made:
        frames = site_frames(cell, table)
        return _study(cell, table, frames, variant=variant, control=control, trust="secure-sum")

    return run


def _site_marginals(cell: Cell, table: BenchmarkTable, external: External) -> Made:
    """The same, and each site's own one-way marginals beside the sums."""
    frames = site_frames(cell, table)
    return _study(cell, table, frames, variant="marginals", trust="secure-sum", site_marginals=True)


def _central(cell: Cell, table: BenchmarkTable, external: External) -> Made:
    return _no_messages(_study(cell, table, {"all-records": table.train}))


def _site_alone(cell: Cell, table: BenchmarkTable, external: External) -> Made:
    frames = site_frames(cell, table)
    largest = max(frames, key=lambda site: len(frames[site]))
    return _no_messages(_study(cell, table, {largest: frames[largest]}))


def _alone_pooled(cell: Cell, table: BenchmarkTable, external: External) -> Made:
    frames = site_frames(cell, table)
    parts = [_study(cell, table, {site: frame}) for site, frame in frames.items()]
    return Made(
        pd.concat([part.frame for part in parts], ignore_index=True),
        max(part.epsilon_spent or 0.0 for part in parts),
        notes=tuple(note for part in parts for note in part.notes),
    )


def _no_messages(made: Made) -> Made:
    """The result with 0 messages, because nothing leaves a site that works on its own."""
    return replace(made, bytes_per_site=None)


STUDIES: dict[str, Maker] = {
    "site-alone": _site_alone,
    "alone-pooled": _alone_pooled,
    "central": _central,
    "marginals": _federated("marginals"),
    "secure-sum": _summed("marginals"),
    "summed-gan": _summed("gan"),
    "summed-both": _summed("both"),
    "summed-control": _summed("both", control=True),
    "site-marginals": _site_marginals,
    "gan": _federated("gan"),
    "both": _federated("both"),
    "three-way": _federated("three-way"),
    "summed-three-way": _summed("three-way"),
    "listen": _federated("listen"),
    "control": _federated("both", control=True),
}
