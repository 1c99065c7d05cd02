"""A study of simulated sites as `fit` and `plan` need it: tables, options, warnings, the run itself."""

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from fedsynth.frame_types import FrameTypes
from fedsynth.inputs import Sites, Table, name_of, sites_of
from fedsynth.notices import MethodNotice, NotPrivateWarning, notice
from fedsynth.options import Options
from fedsynth.result import Result
from fedsynth.result_folder import files_of
from fedsynth.schemas import DRAFTED, Schema, tell_notes
from fedsynth.threads import few_threads
from fedsynth_common.errors import InputError
from fedsynth_common.extras import how_to_install
from fedsynth_common.schema import Schema as PlainSchema

if TYPE_CHECKING:
    from fedsynth_common.protocol.plan import Plan as StudyPlan
    from fedsynth_simulations.simulate import Simulation
    from fedsynth_simulations.site_tables import Tables


@dataclass(frozen=True)
class Prepared:
    """A study before it starts: the tables of its sites, and how it will run."""

    tables: "Tables"
    simulation: "Simulation"


def prepared(data: Table | Sites, options: Options) -> Prepared:
    """Deal the tables out and say what was taken from the records.

    Raises:
        InputError: a table or an option cannot be used.
    """
    tables = _tables(data, options)
    return Prepared(tables, simulation_of(options, pooled=tables.rehearsed))


def check_installed() -> None:
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


def simulation_of(options: Options, *, pooled: bool) -> "Simulation":
    """How the study runs; `pooled` says that records decided which site they are at."""
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


def caveats_of(schema: PlainSchema, simulation: "Simulation") -> tuple[str, ...]:
    """Why the result would not be private, in the words of the privacy statement."""
    from fedsynth_release.statement import promises

    seeded = (promises.SEEDED,) if simulation.seed is not None else ()
    drafted = (promises.DRAFTED,) if schema.origin != "declared" else ()
    return (*seeded, *drafted, *simulation.caveats)


def tell(study: Prepared) -> None:
    """Warn, before anything is computed, of what is lost and of what makes the result not private."""
    from fedsynth_release.statement import promises

    tell_notes(study.tables.notes)
    for caveat in caveats_of(study.tables.schema, study.simulation):
        notice(
            f"not private: {DRAFTED}" if caveat == promises.DRAFTED else caveat, NotPrivateWarning
        )


def run(data: Table | Sites, study: Prepared, options: Options) -> Result:
    """Run a study; `data` is asked for the types of its columns alone.

    Raises:
        FedsynthError: the study failed.
    """
    from fedsynth_server.study.method import duration_of, simulation_lines
    from fedsynth_simulations.simulate import simulate

    tables, simulation = study.tables, study.simulation

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
