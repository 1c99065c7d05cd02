"""Rehearses years of a growing table on one machine: a study of each cohort, one after the other.

Nothing is a mock: the vaults keep their ledgers from one cohort to the next, serve and charge each
cohort alone, and would refuse one whose records had changed. Each study starts from the release of the
one before. At each cohort a site's table holds the records of that cohort and of all earlier ones.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from fedsynth_client.records.cohort_rows import places_of
from fedsynth_common.array_types import Int64Array
from fedsynth_common.errors import InputError
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import CategoricalColumn, Cohorts, IdColumn, Schema
from fedsynth_common.schema.cohorts import NO_COHORT, Every
from fedsynth_release.generator import Generator
from fedsynth_release.lineage import lineage_after
from fedsynth_server.aggregation.carried import CARRIED, Carried
from fedsynth_server.progress import StudyProgress
from fedsynth_server.refresh import HALF_LIFE
from fedsynth_server.refresh.study import CohortStudy, Earlier
from fedsynth_server.study.export import export
from fedsynth_server.study.result import StudyResult
from fedsynth_simulations.federation import SigningKeys, in_process, new_keys
from fedsynth_simulations.simulate import Simulation, declared_size, plan_of_size

Frames = Mapping[str, pd.DataFrame]
ORDER = "cohort of the record"
"""The column that numbers the cohorts where a table is cut by the order of its records."""


@dataclass(frozen=True)
class Step:
    """One cohort of a rehearsal.

    Attributes:
        cohort: its name.
        plan: that the sites agreed to.
        generator: the release after this cohort.
        outcome: the study's result, with what changed.
        seconds: wall time.
    """

    cohort: str
    plan: Plan
    generator: Generator
    outcome: StudyResult
    seconds: float


def cut_by_column(schema: Schema, column: str, every: Every | None) -> Schema:
    """The schema with cohorts of this column.

    In a drafted schema a date that cuts the table is not modelled: the cohort says when it was. In how
    many cohorts a person may be is that of the cohorts that the schema has declared.

    Raises:
        InputError: the column cannot cut the table.
    """
    if every is not None and schema.origin != "declared" and column not in schema.ids:
        if column not in {c.name for c in schema.columns}:
            raise InputError(f"--stream {column}: no such column in the table")
        others = schema.without(column)
        columns = (*others.columns, IdColumn(name=column))
        target = None if schema.target == column else schema.target
        schema = others.model_copy(update={"columns": columns, "target": target})
    try:
        bound = schema.cohorts.per_person if schema.cohorts else None
        cohorts = Cohorts(column=column, every=every, per_person=bound)
        return Schema.model_validate({**dict(schema), "cohorts": cohorts})
    except ValueError as error:
        fault = str(error).split("Value error, ")[-1].split(" [type=")[0]
        raise InputError(f"{column}: {fault}") from None


def numbered(frame: pd.DataFrame, cohorts: int) -> pd.DataFrame:
    """The table with a column that numbers cohorts of equal size by the order of the rows.

    Raises:
        InputError: too few rows for so many cohorts.
    """
    if not 2 <= cohorts <= min(999, len(frame) // 2):
        raise InputError(f"--cohorts {cohorts}: expected from 2 to half as many as there are rows")
    return with_cohorts_of(frame, equal_cohorts(len(frame), cohorts))


def equal_cohorts(rows: int, cohorts: int) -> Int64Array:
    """The number of each row's cohort, from 1; the rows are cut in their order (rows,)."""
    return np.asarray(np.arange(rows) * cohorts // rows + 1)


def with_cohorts_of(frame: pd.DataFrame, number: Int64Array) -> pd.DataFrame:
    """The table with a column that says which cohort each row is in.

    Cohort k gets the name of the year k, such as 0003.
    """
    days = pd.Series([f"{k:04d}-01-01" for k in number], index=frame.index, dtype="str")
    return frame.assign(**{ORDER: days})


def with_numbers(schema: Schema) -> Schema:
    """The schema of a table with such a column, which is not modelled.

    Raises:
        InputError: the table cannot be cut.
    """
    others = schema.without(ORDER)
    columns = (*others.columns, IdColumn(name=ORDER))
    return cut_by_column(others.model_copy(update={"columns": columns}), ORDER, "year")


def cohort_names(frame: pd.DataFrame, schema: Schema) -> dict[str, pd.Series]:
    """Which rows are in each cohort that has some, in order."""
    cut = schema.cohorts
    if cut is None:
        raise InputError("the schema has no cohorts")
    places = places_of(frame, schema, cut)
    column = schema.column(cut.column)
    if isinstance(column, CategoricalColumn):
        names = {p: column.categories[p] for p in np.unique(places).tolist() if p != NO_COHORT}
    else:
        names = {p: cut.name_of(p) for p in np.unique(places).tolist() if p != NO_COHORT}
    rows: dict[str, pd.Series] = {}
    for place, name in names.items():
        inside = pd.Series(places == place, index=frame.index)
        rows[name] = rows[name] | inside if name in rows else inside
    return rows


def stream(
    frames: Frames,
    schema: Schema,
    simulation: Simulation,
    folder: Path,
    half_life: float = HALF_LIFE,
    before: Callable[[Plan], None] = lambda plan: None,
) -> Iterator[Step]:
    """Study one cohort after the other; write each release to `folder`/cohorts/NAME/generator.

    Args:
        frames: the whole table of each site, by name.
        schema: with cohorts.
        simulation: of each study; ε is that of one cohort.
        folder: existing folder of the results.
        half_life: in cohorts, of what was measured.
        before: called with each plan.

    Raises:
        InputError: fewer than two cohorts, or one that a site has no records of.
    """
    present = {site: cohort_names(frame, schema) for site, frame in frames.items()}
    names = sorted({name for own in present.values() for name in own})
    if len(names) < 2:
        raise InputError("the column cuts the table into fewer than two cohorts")
    with TemporaryDirectory(prefix="fedsynth-ledgers-") as ledgers:
        yield from _studies(
            frames, schema, simulation, folder, Path(ledgers), half_life, before, present, names
        )


def _studies(
    frames: Frames,
    schema: Schema,
    simulation: Simulation,
    folder: Path,
    ledgers: Path,
    half_life: float,
    before: Callable[[Plan], None],
    present: Mapping[str, Mapping[str, pd.Series]],
    names: Sequence[str],
) -> Iterator[Step]:
    keys, earlier = new_keys(frames), None
    for number, name in enumerate(names):
        lacking = [site for site, own in present.items() if name not in own]
        if lacking:
            raise InputError(f"cohort {name}: site {lacking[0]} has no records of it")
        held = {s: _held(frame, present[s], names[: number + 1]) for s, frame in frames.items()}
        size = sum(int(own[name].sum()) for own in present.values()) // len(frames)
        begun = time.monotonic()
        chosen = replace(
            simulation,
            cohort=name,
            study=f"{simulation.study}-{number + 1:03d}",
            # the same noise in two cohorts would add up and not average out
            seed=None if simulation.seed is None else simulation.seed * 1000 + number,
        )
        plan = plan_of_size(
            list(frames), chosen.records_per_site or declared_size(size), schema, chosen, keys
        )
        before(plan)
        place = folder / "cohorts" / name
        step = _study(held, plan, chosen, keys, ledgers, place, earlier)
        yield replace(step, seconds=time.monotonic() - begun)
        earlier = Earlier(step.generator, Carried.load(place / CARRIED), half_life)


def _held(
    frame: pd.DataFrame, present: Mapping[str, pd.Series], names: Sequence[str]
) -> pd.DataFrame:
    """What a site's table holds after these cohorts."""
    inside = np.any([present[name].to_numpy() for name in names if name in present], axis=0)
    return frame[inside].reset_index(drop=True)


def _study(
    frames: Frames,
    plan: Plan,
    simulation: Simulation,
    keys: SigningKeys,
    ledgers: Path,
    place: Path,
    earlier: Earlier | None,
) -> Step:
    place.mkdir(parents=True)
    grid = in_process(
        frames, plan, simulation.seed, keys, lambda site: ledgers / f"{site + 1:03d}.db"
    )
    with StudyProgress() as progress:
        study = CohortStudy(plan, simulation.settings, grid, progress, earlier=earlier)
        outcome = study.run()
    lineage = None
    if earlier is not None:
        before = place.parent / earlier.carried.cohorts[-1] / "generator"
        lineage = lineage_after(before, earlier.half_life)
    generator = export(
        plan, outcome, place / "generator", caveats=simulation.caveats, lineage=lineage
    )
    if outcome.carried is not None:
        outcome.carried.save(place / CARRIED)
    return Step(str(plan.cohort), plan, generator, outcome, 0.0)
