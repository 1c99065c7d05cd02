"""The whole evaluation of one synthetic table: fidelity, utility, attacks, copies, with references.

Three tables of the same schema come in: real training rows, held-out real rows that nothing was
trained on, and the synthetic rows. References are made here, from the training rows, with a fixed
seed. The hold-out should be as large as the training rows for attacks (narrowest intervals, no size
correction); a fifth of all rows is enough for fidelity and utility.

Everything is deterministic given the tables, the seed and the library versions.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.attacks import Sides, run_attacks
from fedsynth_release.evaluation.copies import copy_row
from fedsynth_release.evaluation.prediction import table_utility
from fedsynth_release.evaluation.references import (
    independent_columns,
    k_anonymised,
    leaky_table,
    pseudonymised,
)
from fedsynth_release.evaluation.results import (
    Attack,
    CopyRow,
    Evaluation,
    Settings,
    Sizes,
    TableRole,
)
from fedsynth_release.evaluation.table_fidelity import table_fidelity
from fedsynth_release.evaluation.utility import Learner

Say = Callable[[str], None]
Frames = dict[TableRole, pd.DataFrame]

MIN_ROWS = 20


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is computed; does not change what a figure means, only its interval.

    Attributes:
        rows: of a table that fidelity and classifiers use at most; None: all.
        targets: questions to each learner.
        regressions: numbers to each learner.
        learners: of the utility section.
        attempts: targets or predicates per attack.
        detection_rows: of either table that the detector sees.
    """

    rows: int | None = None
    targets: int = 10
    regressions: int = 3
    learners: tuple[Learner, ...] = ("boosting", "logistic")
    attempts: int = 5000
    detection_rows: int = 10_000


FULL = Effort()
QUICK = Effort(
    rows=5000,
    targets=5,
    regressions=1,
    learners=("logistic",),
    attempts=400,
    detection_rows=1000,
)


def evaluate_table(
    train: pd.DataFrame,
    holdout: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema,
    *,
    quick: bool = False,
    attacks: bool = True,
    seed: int = 0,
    quasi_identifiers: Sequence[str] = (),
    epsilon: float | None = None,
    delta: float | None = None,
    say: Say = lambda _: None,
) -> Evaluation:
    """Evaluate `synthetic` against the real `train` and `holdout` rows.

    Args:
        train: real rows that the generator learnt from.
        holdout: other real rows of the same population, at least 20.
        synthetic: the table under evaluation.
        schema: public schema of all three.
        quick: fewer rows, targets and attempts (`QUICK`); intervals are wider.
        attacks: whether to run attacks and the copy check.
        seed: of subsets, references and attacks.
        quasi_identifiers: columns that the k-anonymised reference generalises; (): all but the target.
        epsilon: the claimed ε, tested by the membership attack.
        delta: the claimed δ.
        say: hears what is being computed.

    Raises:
        InputError: a table lacks a column of the schema or has too few rows.
    """
    start = time.monotonic()
    _check(train, holdout, synthetic, schema)
    for name in quasi_identifiers:
        if name not in {column.name for column in schema.modelled}:
            raise InputError(f"quasi-identifier {name!r}: not a modelled column of the schema")
    effort = QUICK if quick else FULL
    rng = np.random.default_rng(seed)
    small_train, small_test, small_made = (
        _at_most(frame, effort.rows, rng) for frame in (train, holdout, synthetic)
    )
    floor = independent_columns(small_train, len(small_train), rng)
    tables: Frames = {"synthetic": small_made, "hold-out": small_test, "independent": floor}
    found: tuple[Attack, ...] = ()
    copies: tuple[CopyRow, ...] = ()
    fidelity = table_fidelity(small_train, tables, schema, say, effort.detection_rows)
    utility = table_utility(
        small_train,
        small_test,
        tables,
        schema,
        say,
        targets=effort.targets,
        regressions=effort.regressions,
        learners=effort.learners,
    )
    if attacks:
        sides = Sides.of(
            train,
            holdout,
            schema,
            attempts=effort.attempts,
            seed=seed,
            epsilon=epsilon,
            delta=delta,
        )
        frames: Frames = {
            "synthetic": synthetic,
            **_references(train, schema, quasi_identifiers, rng, say),
        }
        found, copies = _attacks(sides, frames, say)
    return Evaluation(
        table=schema.name,
        target=schema.target,
        sizes=Sizes(
            train=len(train),
            holdout=len(holdout),
            synthetic=len(synthetic),
            columns=len(schema.modelled),
        ),
        settings=Settings(
            seed=seed,
            quick=quick,
            max_rows=effort.rows,
            max_attacks=effort.attempts,
            quasi_identifiers=tuple(quasi_identifiers),
            epsilon=epsilon,
            delta=delta,
        ),
        seconds=round(time.monotonic() - start, 1),
        fidelity=fidelity,
        utility=utility,
        attacks=found,
        copies=copies,
        notes=_notes(found, train, holdout),
    )


def _references(
    train: pd.DataFrame,
    schema: Schema,
    quasi_identifiers: Sequence[str],
    rng: np.random.Generator,
    say: Say,
) -> Frames:
    """The tables that attacks are compared on."""
    say("making the reference tables")
    return {
        "pseudonymised": pseudonymised(train, schema),
        "k-anonymised": k_anonymised(
            train, schema, rng, quasi_identifiers=tuple(quasi_identifiers) or None
        ),
        "independent": independent_columns(train, len(train), rng),
        "leaky": leaky_table(train, len(train), rng),
    }


def _attacks(
    sides: Sides, frames: Frames, say: Say
) -> tuple[tuple[Attack, ...], tuple[CopyRow, ...]]:
    """All attacks and copy checks on all tables."""
    cells = {role: sides.features.cells(frame) for role, frame in frames.items()}
    found = run_attacks(cells, sides, say)
    say("copy check")
    return found, tuple(copy_row(role, table, sides) for role, table in cells.items())


def _at_most(frame: pd.DataFrame, rows: int | None, rng: np.random.Generator) -> pd.DataFrame:
    if rows is None or len(frame) <= rows:
        return frame
    return frame.iloc[rng.choice(len(frame), size=rows, replace=False)].reset_index(drop=True)


def _check(
    train: pd.DataFrame, holdout: pd.DataFrame, synthetic: pd.DataFrame, schema: Schema
) -> None:
    named = {"training": train, "held-out": holdout, "synthetic": synthetic}
    for name, frame in named.items():
        if len(frame) < MIN_ROWS:
            raise InputError(
                f"evaluation: the {name} table has {len(frame)} rows; expected {MIN_ROWS} or more"
            )
        for column in schema.modelled:
            if column.name not in frame.columns:
                fault = f"has no column {column.name!r} although the schema does"
                raise InputError(f"evaluation: the {name} table {fault}")


def _notes(
    found: tuple[Attack, ...], train: pd.DataFrame, holdout: pd.DataFrame
) -> tuple[str, ...]:
    """What limits the figures."""
    notes = [
        f"{attack.title}: the positive control (a leaky generator) was not noticed; "
        "the attack is too weak on this table to say anything"
        for attack in found
        if (control := attack.on("leaky")) is not None and not control.flagged
    ]
    if found and len(holdout) < 0.8 * len(train):
        notes.append(
            f"{len(holdout)} held-out rows for {len(train)} training rows: intervals of attacks are "
            "narrowest when both are equal"
        )
    return tuple(notes)
