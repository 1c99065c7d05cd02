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

import numpy as np
import pandas as pd

from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.attack_results import Attack, CopyRow
from fedsynth_release.evaluation.attack_tables import attack_notes, attack_tables
from fedsynth_release.evaluation.effort import FULL, MIN_ROWS, QUICK, Effort
from fedsynth_release.evaluation.histories.evaluate_histories import (
    attack_persons,
    measure_histories,
)
from fedsynth_release.evaluation.prediction import table_utility
from fedsynth_release.evaluation.references import independent_columns
from fedsynth_release.evaluation.result_parts import TableRole
from fedsynth_release.evaluation.results import Evaluation, Fidelity, Settings, Sizes, Utility
from fedsynth_release.evaluation.table_fidelity import table_fidelity

Say = Callable[[str], None]
Frames = dict[TableRole, pd.DataFrame]


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
    frames, over_time = (train, holdout, synthetic), None
    if schema.histories is None:
        fidelity, utility = _fidelity_and_utility(*frames, schema, effort, rng, say)
    else:
        fidelity, utility, over_time = measure_histories(frames, schema, effort, rng, say)
    attack_results: tuple[Attack, ...] = ()
    copies: tuple[CopyRow, ...] = ()
    if attacks:
        attack = attack_tables if schema.histories is None else attack_persons
        attack_results, copies = attack(frames, schema, settings, rng, say)
    return Evaluation(
        table=schema.name,
        target=schema.target,
        sizes=_sizes(train, holdout, synthetic, schema),
        settings=settings,
        seconds=round(time.monotonic() - start, 1),
        fidelity=fidelity,
        utility=utility,
        histories=over_time,
        attacks=attack_results,
        copies=copies,
        notes=attack_notes(attack_results, len(train), len(holdout), schema.histories is not None),
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
