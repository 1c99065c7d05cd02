"""Evaluates persons with histories: their fidelity, the next event, and attacks on whole persons."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema
from fedsynth_common.tables import factorise
from fedsynth_release.evaluation.attack_results import Attack, CopyRow
from fedsynth_release.evaluation.attack_tables import attack_tables
from fedsynth_release.evaluation.attacks import ATTACKS, AttackKind, membership, singling_out
from fedsynth_release.evaluation.discretise import cell_column
from fedsynth_release.evaluation.effort import MIN_ROWS, Effort
from fedsynth_release.evaluation.histories.fidelity import flat_fidelity
from fedsynth_release.evaluation.histories.model_rows import HistoryRows
from fedsynth_release.evaluation.histories.next_event import next_event_utility
from fedsynth_release.evaluation.histories.over_time import history_fidelity
from fedsynth_release.evaluation.histories.person_table import person_schema, person_table
from fedsynth_release.evaluation.histories.references import dealt, independent
from fedsynth_release.evaluation.history_results import HistoryFidelity
from fedsynth_release.evaluation.result_parts import TableRole
from fedsynth_release.evaluation.results import Fidelity, Settings, Utility

Say = Callable[[str], None]
Frames = tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]
"""Training, held-out and synthetic events."""

_NAMES = (membership.NAME, singling_out.UNIVARIATE_NAME, singling_out.MULTIVARIATE_NAME)


def measure_histories(
    frames: Frames, schema: Schema, effort: Effort, rng: np.random.Generator, say: Say
) -> tuple[Fidelity, Utility, HistoryFidelity]:
    """Compare synthetic histories, held-out ones, and two floors with the training persons.

    Raises:
        InputError: a table has fewer than 20 persons, or no column of the next event can be asked about.
    """
    say("putting events in order")
    train, test, synthetic = (_part(frame, schema, effort.rows, rng) for frame in frames)
    made: dict[TableRole, pd.DataFrame] = {
        "synthetic": synthetic,
        "hold-out": test,
        "dealt": dealt(train, schema, rng),
        "independent": independent(train, schema, rng),
    }
    real = HistoryRows.of(train, schema)
    tables = {role: HistoryRows.of(frame, schema) for role, frame in made.items()}
    compared = {"training": real, "held-out": tables["hold-out"], "synthetic": tables["synthetic"]}
    for name, rows in compared.items():
        if rows.persons < MIN_ROWS:
            fault = f"the {name} table has {rows.persons} persons; expected {MIN_ROWS} or more"
            raise InputError(f"evaluation: {fault}")
    fidelity = flat_fidelity(real, tables, say, effort.detection_rows)
    over_time = history_fidelity(real, tables, say)
    utility = next_event_utility(
        real, tables["hold-out"], tables, say, targets=effort.targets, learners=effort.learners
    )
    return fidelity, utility, over_time


def attack_persons(
    frames: Frames, schema: Schema, settings: Settings, rng: np.random.Generator, say: Say
) -> tuple[tuple[Attack, ...], tuple[CopyRow, ...]]:
    """Attack whole persons, with all their events: membership and singling out."""
    rows = [HistoryRows.of(frame, schema) for frame in frames]
    persons = person_schema(rows[0])
    train, holdout, synthetic = (person_table(table) for table in rows)
    of_persons = settings.model_copy(
        update={"quasi_identifiers": _of_persons(settings.quasi_identifiers, persons)}
    )
    kinds = [_about_persons(kind) for kind in ATTACKS if kind.name in _NAMES]
    return attack_tables((train, holdout, synthetic), persons, of_persons, rng, say, kinds)


def _of_persons(names: Sequence[str], persons: Schema) -> tuple[str, ...]:
    """The columns of the table of persons that hold the named columns."""
    return tuple(
        column.name
        for column in persons.modelled
        if column.name in names or column.name.rpartition(" (")[0] in names
    )


def _about_persons(kind: AttackKind) -> AttackKind:
    """The texts of an attack whose records are whole persons."""
    definition = f"A record is here a whole person with all events. {kind.definition}"
    return replace(kind, title=f"{kind.title}, whole persons", definition=definition)


def _part(
    frame: pd.DataFrame, schema: Schema, rows: int | None, rng: np.random.Generator
) -> pd.DataFrame:
    """The events of random persons, about as many events as `rows`."""
    if rows is None or len(frame) <= rows:
        return frame
    person, names = factorise(cell_column(frame, schema.person_key or ""))
    chosen = rng.permutation(len(names))[: max(MIN_ROWS, len(names) * rows // len(frame))]
    return frame[np.isin(person, chosen)].reset_index(drop=True)
