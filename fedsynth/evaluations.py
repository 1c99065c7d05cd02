"""Judges a synthetic table against real records; two tables are enough."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import pandas as pd

from fedsynth.display import exported, recorder
from fedsynth.inputs import Table, table_of
from fedsynth.notices import ColumnWarning, in_python, notice
from fedsynth.options import flag, number, text, whole, wrong
from fedsynth.threads import few_threads
from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.results import Evaluation as PlainEvaluation

SHARE = 0.2
"""Of the real rows, which stand in for a hold-out where none was given."""
WITHOUT_HOLDOUT = (
    "no hold-out was given, so a random fifth of the real rows stands in for it. The ceilings are real; "
    "but models are tested on rows that the generator may have learned from, which flatters it a "
    "little. Missing are the attacks and the copies: they compare people who were in the table with "
    "people who were not. Pass holdout= with real rows that the generator never saw"
)


class Evaluation(PlainEvaluation):
    """What was measured about a synthetic table, each figure beside its ceiling and its floor.

    `docs/METRICS.md` defines every figure. The figures come from real records without noise: they are
    not differentially private. `.to_json()` gives them as text, and `.load(path)` reads them.
    """

    def __repr__(self) -> str:
        return self._drawn(notebook=False)

    __str__ = __repr__

    def _repr_html_(self) -> str:
        return self._drawn(notebook=True)

    def _drawn(self, *, notebook: bool) -> str:
        from fedsynth_release.evaluation.summary import show

        console = recorder()
        show(self, console)
        return exported(console, notebook=notebook)

    @classmethod
    def of(cls, plain: PlainEvaluation) -> Self:
        """The same figures with this class's manners."""
        return cls.model_validate(plain.model_dump())

    @property
    def plain(self) -> PlainEvaluation:
        """The same figures as the other parts of fedsynth hold them."""
        return PlainEvaluation.model_validate(self.model_dump())


@in_python()
def evaluate(
    synthetic: Table,
    real: Table,
    *,
    holdout: Table | None = None,
    schema: Schema | str | Path | None = None,
    target: str | None = None,
    person_key: str | None = None,
    order: str | None = None,
    attacks: bool = True,
    quasi_identifiers: Sequence[str] = (),
    epsilon: float | None = None,
    delta: float = 1e-5,
    quick: bool = False,
    seed: int = 0,
) -> Evaluation:
    """Measure how close a synthetic table is to real records, how useful, and what it reveals.

    The synthetic table may come from any program. The result is not private.

    Args:
        synthetic: the table to judge.
        real: the real records that the generator learned from.
        holdout: other real records, which the generator did not use. Without them some figures are
            missing, and the notes of the result say which.
        schema: the schema of the tables, or its path. By default it is drafted from `real`, for the
            columns that all tables have.
        target: without a schema, the column that models predict first.
        person_key: without a schema, the column that names the person.
        order: without a schema, the column that orders a person's events.
        attacks: whether to attack the table; this needs a hold-out.
        quasi_identifiers: columns that the k-anonymised reference of the attacks generalises; ()
            means all but the target.
        epsilon: the claimed ε, which the membership attack tests.
        delta: the claimed δ that belongs to `epsilon`.
        quick: use fewer rows and targets; the intervals become wider.
        seed: of subsets, reference tables and attacks.

    Raises:
        InputError: a table cannot be used, lacks a column, or has fewer than 20 rows.
    """
    _check(attacks, quick, seed, quasi_identifiers, epsilon=epsilon, delta=delta)
    for argument, value in (("target", target), ("person_key", person_key), ("order", order)):
        text(argument, value, optional=True)
    made, train = table_of(synthetic, "synthetic"), table_of(real, "real")
    test = None if holdout is None else table_of(holdout, "holdout")
    if schema is None:
        declared = _drafted(made, train, test, (target, person_key, order))
    elif isinstance(schema, Schema):
        declared = schema
    elif isinstance(schema, str | Path):
        declared = Schema.load(schema)
    else:
        raise wrong("schema", "a fedsynth.Schema or the path of a schema file", schema)
    notes: tuple[str, ...] = ()
    if test is None:
        train, test, notes = *_split(train, declared, seed), (WITHOUT_HOLDOUT,)
    found = _measured(
        (train, test, made),
        declared,
        quick=quick,
        attacks=attacks and not notes,
        seed=int(seed),
        quasi_identifiers=tuple(quasi_identifiers),
        epsilon=epsilon,
        delta=None if epsilon is None else delta,
    )
    return Evaluation.of(found.model_copy(update={"notes": (*notes, *found.notes)}))


def _measured(
    frames: tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame], schema: Schema, **settings: Any
) -> PlainEvaluation:
    from fedsynth_release.evaluation import evaluate_table
    from fedsynth_release.progress import stages

    with few_threads(), stages() as say:
        return evaluate_table(*frames, schema, say=say, **settings)


def _check(
    attacks: object, quick: object, seed: object, quasi_identifiers: object, **numbers: object
) -> None:
    flag("attacks", attacks)
    flag("quick", quick)
    whole("seed", seed, 0)
    for name, value in numbers.items():
        if value is not None:
            number(name, value)
    if isinstance(quasi_identifiers, str) or not isinstance(quasi_identifiers, Sequence):
        raise wrong("quasi_identifiers", "a list of names of columns", quasi_identifiers)


def _drafted(
    made: pd.DataFrame,
    real: pd.DataFrame,
    held: pd.DataFrame | None,
    roles: tuple[str | None, str | None, str | None],
) -> Schema:
    """A schema of the columns that all tables have, drafted from the real rows."""
    from fedsynth_release.drafting.histories import draft_as_wished
    from fedsynth_release.drafting.wishes import Wishes

    tables = [table for table in (made, real, held) if table is not None]
    shared = [name for name in real.columns if all(name in table.columns for table in tables)]
    if not shared:
        raise InputError("synthetic and real have no column in common")
    if left := sorted({name for table in tables for name in table.columns} - set(shared)):
        notice(f"only some of the tables have the columns {', '.join(left)}; they are left out",
               ColumnWarning)  # fmt: skip
    target, person_key, order = roles
    for role, name in (("target", target), ("person_key", person_key), ("order", order)):
        if name is not None and name not in shared:
            raise InputError(f"{role} {name}: not a column of all tables")
    wishes = Wishes(target, person_key=person_key, order=order, rules=False)
    return draft_as_wished(real[shared], "table", wishes).schema


def _split(real: pd.DataFrame, schema: Schema, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    import numpy as np

    from fedsynth_release.evaluation.effort import MIN_ROWS
    from fedsynth_release.evaluation.split import split_for

    if len(real) * SHARE < MIN_ROWS:
        least = round(MIN_ROWS / SHARE)
        raise InputError(
            f"real: {len(real)} rows; without a hold-out at least {least} are needed, of which a fifth "
            "stands in for it"
        )
    return split_for(real, SHARE, np.random.default_rng(seed), schema)
