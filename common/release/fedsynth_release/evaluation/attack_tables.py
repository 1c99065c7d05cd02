"""Attacks the synthetic table and, to compare with, tables of known risk."""

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.attack_results import Attack, CopyRow
from fedsynth_release.evaluation.attacks import AttackSetup, run_attacks
from fedsynth_release.evaluation.attacks.run import ATTACKS, AttackKind
from fedsynth_release.evaluation.copies import copy_row
from fedsynth_release.evaluation.references import (
    independent_columns,
    k_anonymised,
    leaky_table,
    pseudonymised,
)
from fedsynth_release.evaluation.result_parts import TableRole
from fedsynth_release.evaluation.results import Settings

Say = Callable[[str], None]


def attack_tables(
    tables: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame],
    schema: Schema,
    settings: Settings,
    rng: np.random.Generator,
    say: Say,
    kinds: Sequence[AttackKind] = ATTACKS,
) -> tuple[tuple[Attack, ...], tuple[CopyRow, ...]]:
    """Run attacks and the copy check on all tables.

    Args:
        tables: the training rows, the held-out rows and the synthetic rows.
        schema: the public schema of the three.
        settings: of the evaluation; they hold the claimed ε.
        rng: draws the reference tables.
        say: is called with a text whenever another part begins.
        kinds: the attacks to run.
    """
    train, holdout, synthetic = tables
    frames = {"synthetic": synthetic, **_references(train, schema, settings, rng, say)}
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
    attacks = run_attacks(cells, setup, say, kinds)
    say("copy check")
    return attacks, tuple(copy_row(role, table, setup) for role, table in cells.items())


def _references(
    train: pd.DataFrame,
    schema: Schema,
    settings: Settings,
    rng: np.random.Generator,
    say: Say,
) -> dict[TableRole, pd.DataFrame]:
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


def attack_notes(
    attacks: tuple[Attack, ...], train: int, holdout: int, events: bool = False
) -> tuple[str, ...]:
    """Sentences that say what limits the figures; `events` says that rows are events of persons."""
    units = "events" if events else "rows"
    notes = [
        f"{attack.title}: the attack did not notice the positive control (a leaky generator), so it "
        "is too weak on this table to say anything"
        for attack in attacks
        if (control := attack.on("leaky")) is not None and not control.flagged
    ]
    if attacks and holdout < 0.8 * train:
        notes.append(
            f"there are {holdout} held-out {units} but {train} training {units}; the intervals of "
            "the attacks would be narrowest if both numbers were equal"
        )
    return tuple(notes)
