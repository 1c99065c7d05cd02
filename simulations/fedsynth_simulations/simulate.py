"""Runs a whole study on one machine, from the sites' tables to the exported generator."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import pandas as pd

from fedsynth_common.errors import InputError
from fedsynth_common.protocol.plan import Plan, Trust
from fedsynth_common.schema import Schema
from fedsynth_release.generator import Generator
from fedsynth_release.report import StudyHistory
from fedsynth_release.report.history import HISTORY
from fedsynth_release.statement.promises import REHEARSAL
from fedsynth_server.progress import StudyProgress
from fedsynth_server.study.export import export
from fedsynth_server.study.planning import Choice, Rounds, make_plan
from fedsynth_server.study.result import StudyResult
from fedsynth_server.study.roster import make_secure_sum
from fedsynth_server.study.study import Study
from fedsynth_server.training.settings import TrainingSettings
from fedsynth_simulations.federation import SigningKeys, in_process, new_keys, public_hex
from fedsynth_simulations.unfinished import Unfinished

Backend = Literal["inprocess", "ray"]


@dataclass(frozen=True)
class Simulation:
    """Everything about a simulated study that is not data.

    `records_per_site` is the public size that the plan declares; without one it is taken from the
    records. `pooled` says that the sites, or which site a record is at, were taken from the records
    too. Either makes the result a rehearsal, which its statement says. With `trust` "secure-sum" the
    sites make one noise together; `colluders` is the plan's c, by default a fifth of the sites. With
    `site_marginals` each also answers for its own one-way marginals. With a `cohort` the study is about
    the records of that cohort alone.
    """

    epsilon: float = 1.0
    delta: float = 1e-5
    variant: Choice = "auto"
    rounds: Rounds | None = None
    settings: TrainingSettings = field(default_factory=TrainingSettings)
    seed: int | None = None
    backend: Backend = "inprocess"
    study: str = "simulation"
    records_per_site: int | None = None
    pooled: bool = False
    trust: Trust = "local"
    colluders: int | None = None
    site_marginals: bool = False
    cohort: str | None = None

    @property
    def caveats(self) -> tuple[str, ...]:
        """What voids the guarantee of this run, beside its seed and its schema."""
        rehearsal = self.pooled or self.records_per_site is None
        return (REHEARSAL,) if rehearsal else ()


@dataclass(frozen=True)
class Result:
    """A finished simulation.

    Attributes:
        generator: the exported generator.
        plan: the plan that the sites agreed to.
        outcome: the result of the study at the coordinator.
        history: the contents of `history.json`.
        seconds: wall time from the first message to the export.
    """

    generator: Generator
    plan: Plan
    outcome: StudyResult
    history: StudyHistory
    seconds: float

    @property
    def rows(self) -> int:
        """The noisy number of records of all sites, which is how many synthetic records to draw."""
        return max(1, round(self.outcome.records))


def declared_size(rows: int) -> int:
    """An order of magnitude where none was declared: the nearest of 1, 2, 5 x 10^k.

    Computed from the count, so that the result is a rehearsal: one record more can change it.

    >>> [declared_size(n) for n in (1, 230, 7800, 90_000)]
    [1, 200, 10000, 100000]
    """
    steps: list[int] = [m * 10**k for k in range(9) for m in (1, 2, 5)]
    return min(steps, key=lambda step: abs(step - rows) / (step + rows))


def _units(frame: pd.DataFrame, schema: Schema) -> int:
    """Rows of a site that a study uses: all, or those within the bound of each person."""
    if schema.person_key is None or schema.person_key not in frame:
        return len(frame)
    return int(frame[schema.person_key].value_counts().clip(upper=schema.rows_per_person).sum())


def simulation_plan(
    frames: Mapping[str, pd.DataFrame],
    schema: Schema,
    simulation: Simulation,
    keys: SigningKeys | None = None,
) -> Plan:
    """The plan of a simulated study, of the declared size or else of one near the true count.

    `keys` are the sites' receipt keys, which the plan of a secure sum names; by default new ones.

    Raises:
        InputError: for a site with less than two records, an unusable ε or δ, or a secure sum of
            fewer than three sites.
    """
    for site, frame in frames.items():
        if len(frame) < 2:
            raise InputError(f"site {site}: {len(frame)} record(s); expected at least 2")
    size = simulation.records_per_site
    if size is None:
        size = declared_size(sum(_units(frame, schema) for frame in frames.values()) // len(frames))
    return plan_of_size(list(frames), size, schema, simulation, keys)


def plan_of_size(
    sites: Sequence[str],
    size: int,
    schema: Schema,
    simulation: Simulation,
    keys: SigningKeys | None = None,
) -> Plan:
    """The plan for sites of about `size` records each, from public facts alone.

    Raises:
        InputError: as `simulation_plan`.
    """
    secure_sum = None
    if simulation.trust == "secure-sum":
        public = {site: public_hex(key) for site, key in (keys or new_keys(sites)).items()}
        secure_sum = make_secure_sum(sites, public, simulation.colluders)
    return make_plan(
        study=simulation.study,
        table=schema,
        sites=sites,
        records_per_site=size,
        epsilon=simulation.epsilon,
        delta=simulation.delta,
        variant=simulation.variant,
        rounds=simulation.rounds,
        secure_sum=secure_sum,
        site_marginals=simulation.site_marginals,
        cohort=simulation.cohort,
    )


def simulate(
    frames: Mapping[str, pd.DataFrame],
    schema: Schema,
    simulation: Simulation,
    folder: Path,
    before: Callable[[Plan], None] = lambda plan: None,
    unfinished: Unfinished | None = None,
) -> Result:
    """Run a study over the tables of several sites; write `folder`/generator and its history.json.

    Args:
        frames: table of each site, by name.
        schema: shared by all of them.
        simulation: ε, δ, variant, rounds, training settings, seed and backend.
        folder: existing folder for the result.
        before: called with the plan once the sites have read their tables.
        unfinished: where the study keeps what it needs to be resumed; not with Ray or a seed.

    Raises:
        InputError: for unusable tables or options, before anything is written.
        FedsynthError: when the study fails.
    """
    if simulation.trust == "secure-sum" and simulation.backend == "ray":
        raise InputError("--backend ray: runs no secure sum; take inprocess")
    keys = unfinished.keys(frames) if unfinished else new_keys(frames)
    plan = simulation_plan(frames, schema, simulation, keys)
    start = time.monotonic()
    if simulation.backend == "ray":
        from fedsynth_simulations.ray_backend import run_on_ray  # takes seconds to import

        before(plan)
        outcome = run_on_ray(frames, plan, simulation.settings, simulation.seed)
    else:
        journal = unfinished.journal(plan, simulation.settings) if unfinished else None
        ledger = unfinished.ledger if unfinished else lambda place: None
        grid = in_process(frames, plan, simulation.seed, keys, ledger)
        before(plan)
        with StudyProgress() as progress:
            study = Study(plan, simulation.settings, grid, progress, journal=journal)
            if journal and (resumed := journal.exchanges):
                study.session.notes.append(f"resumed after {resumed} finished messages")
            outcome = study.run()
    generator = export(plan, outcome, folder / "generator", caveats=simulation.caveats)
    history = outcome.history()
    (folder / HISTORY).write_text(history.to_json(), encoding="utf-8")
    return Result(generator, plan, outcome, history, time.monotonic() - start)


def quick(simulation: Simulation) -> Simulation:
    """The same simulation with few training steps and messages, to test the set-up."""
    return replace(
        simulation,
        rounds=Rounds(messages=2, steps_per_message=3),
        settings=simulation.settings.quick(),
    )
