"""Finds what in a generator folder differs from its privacy statement; part of `fedsynth verify`.

It checks the digests of the files, the canonical text and the cost of the plan, the schema, the
columns of the measurements, and the model card. The model card is generated, so it must be exactly
the text that follows from the statement. Only the folder is read, and no record.
"""

from collections.abc import Iterator
from pathlib import Path

from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_PLAN_BYTES, MAX_STATEMENT_BYTES, read_limited
from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.accounting import ROUNDING, epsilon
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import Schema, history_schema
from fedsynth_release.generator import Generator
from fedsynth_release.generator_files import (
    CARD,
    DIGESTED,
    MARGINS,
    MEASUREMENTS,
    OPTIONAL,
    PLAN,
    SCHEMA,
    STATEMENT,
    sha256_of,
)
from fedsynth_release.margins import read_margins
from fedsynth_release.measurements import Measurements
from fedsynth_release.report.scores import light_of
from fedsynth_release.report.verdicts import quality_of
from fedsynth_release.statement.model_card import NOTES, model_card
from fedsynth_release.statement.privacy_statement import PrivacyStatement
from fedsynth_release.verification.verdict import Finding


def plan_findings(folder: Path, plan: Plan) -> Iterator[Finding]:
    """Findings about the plan: it must be the text that sites approved and cost what it says."""
    if read_limited(folder / PLAN, MAX_PLAN_BYTES) != plan.to_json():
        problem = "not canonical, so its SHA-256 is not the digest that sites approved"
        yield Finding(file=PLAN, field="text", problem=problem)
    try:
        cost = epsilon(plan.planned_events(), plan.delta)
    except PrivacyError as error:
        yield Finding(file=PLAN, field="measure", problem=f"cannot be accounted ({error})")
        return
    if cost > plan.epsilon + ROUNDING:
        problem = f"states {plan.epsilon!r}, but its steps cost {cost!r}"
        yield Finding(file=PLAN, field="epsilon", problem=problem)


def file_findings(
    folder: Path, statement: PrivacyStatement, plan: Plan, schema: Schema
) -> Iterator[Finding]:
    """Findings about the other files: each must be the one that statement and plan refer to."""
    changed = list(_digest_findings(folder, statement))
    yield from changed
    if not changed and (fault := _quality_fault(folder, statement)):
        yield Finding(file=STATEMENT, field="quality", problem=fault)
    if (folder / MEASUREMENTS).is_file() and (fault := _measurement_fault(folder, schema)):
        yield Finding(file=MEASUREMENTS, field="columns", problem=fault)
    if (folder / MARGINS).is_file() and (fault := _margins_fault(folder, schema)):
        yield Finding(file=MARGINS, field="columns", problem=fault)
    if schema != plan.table:
        yield Finding(file=SCHEMA, field="columns", problem=f"not the table of {PLAN}")
    written = read_limited(folder / STATEMENT, MAX_STATEMENT_BYTES)
    if written != statement.to_json().encode():
        problem = "not as fedsynth writes it (repeated, reordered or retyped fields)"
        yield Finding(file=STATEMENT, field="text", problem=problem)
    if fault := _card_fault(folder / CARD, model_card(schema, statement)):
        yield Finding(file=CARD, field="text", problem=fault)


def _quality_fault(folder: Path, statement: PrivacyStatement) -> str:
    """What is wrong with the stated quality, which follows from the files; older ones state none."""
    stated = statement.quality
    if stated is None:
        return ""
    if not (folder / MEASUREMENTS).is_file():
        return f"is stated, but there is no {MEASUREMENTS} that it could follow from"
    try:
        again = quality_of(Generator.load(folder), Measurements.load(folder / MEASUREMENTS))
    except InputError:
        return "cannot be computed again from the files"
    right = again is not None and stated.is_near(again)
    if right and stated.light == ("unknown" if stated.score is None else light_of(stated.score)):
        return ""
    return f"states {stated.words}, but computing it again gives {again.words if again else 'none'}"


def _digest_findings(folder: Path, statement: PrivacyStatement) -> Iterator[Finding]:
    there = [name for name in OPTIONAL if (folder / name).is_file()]
    for name in (*DIGESTED, *there):
        if name not in statement.artefacts:
            yield Finding(file=STATEMENT, field=f"artefacts[{name}]", problem="missing")
        elif statement.artefacts[name] != sha256_of(folder / name):
            problem = f"is not that of {STATEMENT}, artefacts[{name}]"
            yield Finding(file=name, field="SHA-256", problem=problem)
    for name in sorted(set(statement.artefacts) - set(DIGESTED) - set(there)):
        problem = "the file is missing" if name in OPTIONAL else "no file of a generator"
        yield Finding(file=STATEMENT, field=f"artefacts[{name}]", problem=problem)


def _measurement_fault(folder: Path, schema: Schema) -> str:
    try:
        measured = Measurements.load(folder / MEASUREMENTS)
    except InputError:
        return "cannot be read as measurements"
    named = [column.name for column in measured.columns]
    return (
        ""
        if named == [c.name for c in history_schema(schema).modelled]
        else f"not the columns of {SCHEMA}"
    )


def _margins_fault(folder: Path, schema: Schema) -> str:
    try:
        margins = read_margins(folder / MARGINS)
    except InputError:
        return "cannot be read as margins"
    named = set(margins["column_1"].dropna()) | set(margins["column_2"].dropna())
    known = {column.name for column in history_schema(schema).modelled}
    return "" if named == known else f"not the columns of {SCHEMA}"


def _card_fault(path: Path, card: str) -> str:
    """What is wrong with the model card; its last section, with notes, may say anything."""
    try:
        text = read_limited(path, MAX_STATEMENT_BYTES).decode("utf-8")
    except OSError:
        return "missing, or cannot be read"
    except InputError:
        return "is longer than a model card can be"
    except UnicodeDecodeError:
        return "is not UTF-8"
    notes = text.removeprefix(card)
    lines = notes.removeprefix(NOTES).splitlines()
    listed = notes.startswith(NOTES) and all(line.startswith("- ") for line in lines)
    good = text.startswith(card) and (not notes or listed)
    return "" if good else f"is not the one that follows from {STATEMENT}"
