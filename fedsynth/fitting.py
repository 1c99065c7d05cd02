"""`fedsynth.fit` and `fedsynth.plan`: a study of simulated sites on this computer.

The study is that of `fedsynth simulate`: real vaults, ledgers, couriers and noise, in this process.
"""

import os
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from fedsynth.frame_types import FrameTypes
from fedsynth.inputs import Sites, Table, name_of, sites_of
from fedsynth.notices import MethodNotice, NotPrivateWarning, in_python, notice
from fedsynth.options import Device, Options, Trust, Variant
from fedsynth.plans import Plan
from fedsynth.result import Result, files_of
from fedsynth.schemas import DRAFTED, Schema, tell_notes
from fedsynth.threads import few_threads
from fedsynth_common.errors import InputError
from fedsynth_common.extras import how_to_install
from fedsynth_common.limits import MAX_REPAIRED
from fedsynth_common.schema import Schema as PlainSchema

if TYPE_CHECKING:
    from fedsynth_common.protocol.plan import Plan as StudyPlan
    from fedsynth_simulations.simulate import Simulation
    from fedsynth_simulations.site_tables import Tables


@in_python()
def fit(
    data: Table | Sites,
    *,
    epsilon: float = 1.0,
    delta: float = 1e-5,
    target: str | None = None,
    schema: PlainSchema | str | Path | None = None,
    sites: int = 5,
    site_column: str | None = None,
    partition: str = "iid",
    person_key: str | None = None,
    order: str | None = None,
    records_per_site: int | None = None,
    trust: Trust = "local",
    colluders: int | None = None,
    site_marginals: bool = False,
    variant: Variant = "auto",
    max_repaired: float = MAX_REPAIRED,
    seed: int | None = None,
    device: Device = "cpu",
    quick: bool = False,
) -> Result:
    """Train one generator of synthetic rows from the tables of several sites, under ε.

    Nothing is written to disk but a temporary folder that is gone afterwards. Warnings say what the
    study does, about how long it takes, and what makes its result not private: a schema drafted from
    the data, a seed, a size or a division into sites that was taken from the records.

    Args:
        data: one table, which is dealt out to simulated sites; or `{site: table}`, whose names have to
            be public. A table is a pandas DataFrame or the path of a .csv, .csv.gz or .parquet file.
        epsilon: the privacy budget ε of the records of each site.
        delta: the δ of the guarantee.
        target: the column that models will predict. A schema that is given declares it.
        schema: a reviewed schema or its path; by default one is drafted from the data.
        sites: the number of simulated sites, if `data` is one table.
        site_column: the column that names the site of each row; it replaces `sites` and `partition`.
        partition: how rows are dealt out: `iid`, `dirichlet:ALPHA` or `quantity:ALPHA`.
        person_key: the column that names the person, if a person has several rows.
        order: with `person_key`, the column that orders a person's events: rows are then histories.
        records_per_site: a public order of magnitude of the size of a site.
        trust: `local`: each site adds all noise itself; `secure-sum`: they add it together.
        colluders: with a secure sum, how many sites may collude or be missing.
        site_marginals: with a secure sum, also measure each site's own margins of single columns.
        variant: what ε is spent on: `marginals`, `gan`, `both`, or `auto`.
        max_repaired: the largest share of a column's cells that may not fit a given schema.
        seed: makes the run repeatable; its result is then not private.
        device: where the generator trains.
        quick: train for a few steps only, to test a set-up; the rows are poor.

    Raises:
        WrongTypeError: an argument has the wrong type.
        InputError: an option or a table cannot be used.
        FedsynthError: the study failed.
    """
    options = Options(
        epsilon=epsilon, delta=delta, target=target, schema=schema, sites=sites,
        site_column=site_column, partition=partition, person_key=person_key, order=order,
        records_per_site=records_per_site, trust=trust, colluders=colluders,
        site_marginals=site_marginals, variant=variant, max_repaired=max_repaired, seed=seed,
        device=device, quick=quick,
    )  # fmt: skip
    _check_installed()
    tables = _tables(data, options)
    simulation = _simulation(options, pooled=tables.rehearsed)
    _tell(tables, simulation)
    return _run(data, tables, simulation, options)


@in_python()
def plan(
    data: Table | Sites | None = None,
    *,
    epsilon: float = 1.0,
    delta: float = 1e-5,
    target: str | None = None,
    schema: PlainSchema | str | Path | None = None,
    sites: int = 5,
    site_column: str | None = None,
    partition: str = "iid",
    person_key: str | None = None,
    order: str | None = None,
    records_per_site: int | None = None,
    trust: Trust = "local",
    colluders: int | None = None,
    site_marginals: bool = False,
    variant: Variant = "auto",
    max_repaired: float = MAX_REPAIRED,
    seed: int | None = None,
    device: Device = "cpu",
    quick: bool = False,
) -> Plan:
    """What `fit` with the same arguments would do, cost and take; nothing is asked of any record.

    Without `data` the plan is made from public facts alone: `schema` and `records_per_site`.

    Args:
        data: as for `fit`, or None.
        epsilon: as for `fit`.
        delta: as for `fit`.
        target: as for `fit`.
        schema: as for `fit`.
        sites: as for `fit`.
        site_column: as for `fit`.
        partition: as for `fit`.
        person_key: as for `fit`.
        order: as for `fit`.
        records_per_site: as for `fit`.
        trust: as for `fit`.
        colluders: as for `fit`.
        site_marginals: as for `fit`.
        variant: as for `fit`.
        max_repaired: as for `fit`.
        seed: as for `fit`.
        device: as for `fit`.
        quick: as for `fit`.

    Raises:
        InputError: an option or a table cannot be used.
    """
    options = Options(
        epsilon=epsilon, delta=delta, target=target, schema=schema, sites=sites,
        site_column=site_column, partition=partition, person_key=person_key, order=order,
        records_per_site=records_per_site, trust=trust, colluders=colluders,
        site_marginals=site_marginals, variant=variant, max_repaired=max_repaired, seed=seed,
        device=device, quick=quick,
    )  # fmt: skip
    _check_installed()
    from fedsynth_server.study.method import duration_of
    from fedsynth_simulations.simulate import plan_of_size, simulation_plan

    declared = options.declared
    if data is not None:
        tables = _tables(data, options)
        simulation = _simulation(options, pooled=tables.rehearsed)
        made, declared = simulation_plan(tables.sites, tables.schema, simulation), tables.schema
    elif declared is None or records_per_site is None:
        raise InputError("data: pass a table, or both schema and records_per_site")
    else:
        simulation = _simulation(options, pooled=False)
        names = [f"site-{k + 1}" for k in range(sites)]
        made = plan_of_size(names, records_per_site, declared, simulation)
    caveats = _caveats(declared, simulation)
    with few_threads():
        return Plan(made, duration_of(made, simulation.settings), caveats)


def _check_installed() -> None:
    """Refuse what the installed parts cannot do; and nothing that runs here calls anybody.

    Raises:
        InputError: the parts that simulate a study are not installed.
    """
    if find_spec("fedsynth_simulations") is None:
        fault = "fit and plan need the parts that simulate a study"
        raise InputError(f"{fault}; {how_to_install('simulate')}")
    from fedsynth_common.cli.main import QUIET

    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


def _tables(data: Table | Sites, options: Options) -> "Tables":
    from fedsynth_release.drafting.wishes import Wishes
    from fedsynth_simulations.site_tables import Division, divided, given_apart

    declared, name = options.declared, name_of(data)
    if isinstance(declared, Schema):
        declared = declared.plain
    wishes = Wishes(options.target, person_key=options.person_key, order=options.order)
    given = sites_of(data)
    if isinstance(given, Mapping):
        if options.site_column is not None:
            raise InputError("site_column: names the sites of one table; data has one of each site")
        return given_apart(given, name, declared, wishes, options.max_repaired)
    division = Division(
        sites=options.sites,
        partition=options.partition,
        site_column=options.site_column,
        seed=options.seed,
    )
    return divided(given, name, declared, division, wishes, options.max_repaired)


def _simulation(options: Options, *, pooled: bool) -> "Simulation":
    from fedsynth_server.training.settings import TrainingSettings
    from fedsynth_simulations.simulate import Simulation, quick

    simulation = Simulation(
        epsilon=float(options.epsilon),
        delta=float(options.delta),
        variant=options.variant,
        trust=options.trust,
        colluders=options.colluders,
        site_marginals=options.site_marginals,
        settings=TrainingSettings.on(options.device),
        seed=options.seed,
        records_per_site=options.records_per_site,
        pooled=pooled,
    )
    return quick(simulation) if options.quick else simulation


def _caveats(schema: PlainSchema, simulation: "Simulation") -> tuple[str, ...]:
    from fedsynth_release.statement import promises

    seeded = (promises.SEEDED,) if simulation.seed is not None else ()
    drafted = (promises.DRAFTED,) if schema.origin != "declared" else ()
    return (*seeded, *drafted, *simulation.caveats)


def _tell(tables: "Tables", simulation: "Simulation") -> None:
    """Warn, before anything is computed, of what is lost and of what makes the result not private."""
    from fedsynth_release.statement import promises

    tell_notes(tables.notes)
    for caveat in _caveats(tables.schema, simulation):
        notice(
            f"not private: {DRAFTED}" if caveat == promises.DRAFTED else caveat, NotPrivateWarning
        )


def _run(
    data: Table | Sites, tables: "Tables", simulation: "Simulation", options: Options
) -> Result:
    from fedsynth_server.study.method import duration_of, simulation_lines
    from fedsynth_simulations.simulate import simulate

    def before(made: "StudyPlan") -> None:
        lines = simulation_lines(made, duration_of(made, simulation.settings))
        notice("; ".join(" ".join(line.split()) for line in lines), MethodNotice)

    with few_threads(), tempfile.TemporaryDirectory(prefix="fedsynth-") as name:
        done = simulate(tables.sites, tables.schema, simulation, Path(name), before)
        files = files_of(Path(name) / "generator")
    types = _types(data, tables, private=done.generator.statement.private)
    params = options.to_dict()
    return Result(done.generator, files, history=done.history, types=types, params=params)


def _types(data: Table | Sites, tables: "Tables", *, private: bool) -> FrameTypes:
    """The types of the user's frame, or none where they could tell something of a private result."""
    first = next(iter(data.values())) if isinstance(data, Mapping) else data
    if isinstance(first, pd.DataFrame):
        labels = FrameTypes.labels_of(first)
    elif str(first).endswith(".parquet"):
        labels = {}
    else:
        return FrameTypes()  # cells of a CSV file have no type
    return FrameTypes({} if private else FrameTypes.of(tables.pooled).types, labels)
