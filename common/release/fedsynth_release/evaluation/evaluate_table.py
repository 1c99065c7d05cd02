"""Evaluates one synthetic table: fidelity, utility, attacks and copies, with their references.

The evaluation needs three tables of the same schema: the real training rows, held-out real rows
that nothing was trained on, and the synthetic rows. It makes the reference tables from the training
rows, with a fixed seed. For attacks, there should be as many held-out rows as training rows; the
intervals are then narrowest and need no correction for size. For fidelity and utility a fifth of
all rows is enough.

The result is deterministic given the tables, the seed and the versions of the libraries.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.attacks import AttackSetup, run_attacks
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
    Fidelity,
    Settings,
    Sizes,
    TableRole,
    Utility,
)
from fedsynth_release.evaluation.table_fidelity import table_fidelity
from fedsynth_release.evaluation.utility import Learner

Say = Callable[[str], None]
Frames = dict[TableRole, pd.DataFrame]

MIN_ROWS = 20


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is computed. With less effort a figure has the same meaning but a wider interval.

    Attributes:
        rows: the most rows of a table that fidelity and classifiers use; None means all.
        targets: number of yes/no questions for each learner.
        regressions: number of columns of numbers that each learner predicts.
        learners: the learners of the utility section.
        attempts: the most targets or predicates of an attack.
        detection_rows: the most rows of each table that the detector uses.
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
        train: the real rows that the generator learned from.
        holdout: at least 20 other real rows of the same population.
        synthetic: the table to evaluate.
        schema: the public schema of all three tables.
        quick: use fewer rows, targets and attempts (`QUICK`); the intervals become wider.
        attacks: whether to run the attacks and the copy check.
        seed: seed for drawing subsets, references and attacks.
        quasi_identifiers: the columns that the k-anonymised reference generalises; () means all
            modelled columns except the target.
        epsilon: the claimed ε, which the membership attack tests.
        delta: the claimed δ.
        say: is called with a text whenever another part of the evaluation begins.

    Raises:
        InputError: a table lacks a column of the schema or has too few rows.
    """
    start = time.monotonic()
    _check(train, holdout, synthetic, schema, quasi_identifiers)
    effort = QUICK if quick else FULL
    settings = Settings(
        seed=seed,
        quick=quick,
        max_rows=effort.rows,
        max_attacks=effort.attempts,
        quasi_identifiers=tuple(quasi_identifiers),
        epsilon=epsilon,
        delta=delta,
    )
    rng = np.random.default_rng(seed)
    fidelity, utility = _fidelity_and_utility(train, holdout, synthetic, schema, effort, rng, say)
    attack_results: tuple[Attack, ...] = ()
    copies: tuple[CopyRow, ...] = ()
    if attacks:
        frames = {"synthetic": synthetic, **_references(train, schema, settings, rng, say)}
        attack_results, copies = _attacks(train, holdout, schema, settings, frames, say)
    return Evaluation(
        table=schema.name,
        target=schema.target,
        sizes=_sizes(train, holdout, synthetic, schema),
        settings=settings,
        seconds=round(time.monotonic() - start, 1),
        fidelity=fidelity,
        utility=utility,
        attacks=attack_results,
        copies=copies,
        notes=_notes(attack_results, train, holdout),
    )


def _sizes(
    train: pd.DataFrame, holdout: pd.DataFrame, synthetic: pd.DataFrame, schema: Schema
) -> Sizes:
    return Sizes(
        train=len(train),
        holdout=len(holdout),
        synthetic=len(synthetic),
        columns=len(schema.modelled),
    )


def _fidelity_and_utility(
    train: pd.DataFrame,
    holdout: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema,
    effort: Effort,
    rng: np.random.Generator,
    say: Say,
) -> tuple[Fidelity, Utility]:
    """Compare the synthetic rows, the hold-out and independent columns with the training rows."""
    small_train, small_test, small_synthetic = (
        _at_most(frame, effort.rows, rng) for frame in (train, holdout, synthetic)
    )
    floor = independent_columns(small_train, len(small_train), rng)
    tables: Frames = {"synthetic": small_synthetic, "hold-out": small_test, "independent": floor}
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
    return fidelity, utility


def _references(
    train: pd.DataFrame,
    schema: Schema,
    settings: Settings,
    rng: np.random.Generator,
    say: Say,
) -> Frames:
    """The tables of known risk on which every attack is run too."""
    say("making the reference tables")
    return {
        "pseudonymised": pseudonymised(train, schema),
        "k-anonymised": k_anonymised(
            train, schema, rng, quasi_identifiers=settings.quasi_identifiers or None
        ),
        "independent": independent_columns(train, len(train), rng),
        "leaky": leaky_table(train, len(train), rng),
    }


def _attacks(
    train: pd.DataFrame,
    holdout: pd.DataFrame,
    schema: Schema,
    settings: Settings,
    frames: Frames,
    say: Say,
) -> tuple[tuple[Attack, ...], tuple[CopyRow, ...]]:
    """Run all attacks and the copy check on all tables."""
    setup = AttackSetup.of(
        train,
        holdout,
        schema,
        attempts=settings.max_attacks,
        seed=settings.seed,
        epsilon=settings.epsilon,
        delta=settings.delta,
    )
    cells = {role: setup.features.cells(frame) for role, frame in frames.items()}
    attacks = run_attacks(cells, setup, say)
    say("copy check")
    return attacks, tuple(copy_row(role, table, setup) for role, table in cells.items())


def _at_most(frame: pd.DataFrame, rows: int | None, rng: np.random.Generator) -> pd.DataFrame:
    if rows is None or len(frame) <= rows:
        return frame
    return frame.iloc[rng.choice(len(frame), size=rows, replace=False)].reset_index(drop=True)


def _check(
    train: pd.DataFrame,
    holdout: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema,
    quasi_identifiers: Sequence[str],
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
    for name in quasi_identifiers:
        if name not in {column.name for column in schema.modelled}:
            raise InputError(
                f"quasi-identifier {name!r}: not a modelled column of the schema; name one of those"
            )


def _notes(
    attacks: tuple[Attack, ...], train: pd.DataFrame, holdout: pd.DataFrame
) -> tuple[str, ...]:
    """Sentences that say what limits the figures."""
    notes = [
        f"{attack.title}: the attack did not notice the positive control (a leaky generator), so it "
        "is too weak on this table to say anything"
        for attack in attacks
        if (control := attack.on("leaky")) is not None and not control.flagged
    ]
    if attacks and len(holdout) < 0.8 * len(train):
        notes.append(
            f"there are {len(holdout)} held-out rows but {len(train)} training rows; the intervals of "
            "the attacks would be narrowest if both numbers were equal"
        )
    return tuple(notes)
