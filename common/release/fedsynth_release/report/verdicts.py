"""The verdict on every column, and on the table: what the report, its first page and the terminal say.

A column is judged in several aspects (`judgements.py` with real records, `measured_judgements.py`
without). Its light is that of its worst aspect. Its score is the mean over the aspects, so that a
column with one fault stands above a column with three. The score of the table is the mean over its
columns. Both reports of a generator compute them in the same way, and `fedsynth benchmark lights`
measures how well they agree.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedsynth_common.array_types import Float64Array
from fedsynth_common.errors import InputError
from fedsynth_common.schema import ModelledColumn, domain_of, layout_of
from fedsynth_release.evaluation.history_results import HistoryFidelity
from fedsynth_release.evaluation.number_errors import AMOUNTS
from fedsynth_release.evaluation.results import Evaluation, Fidelity
from fedsynth_release.generator import Generator
from fedsynth_release.measurements import Measurements
from fedsynth_release.report.expected import MeasuredShares
from fedsynth_release.report.histories import by_source
from fedsynth_release.report.judgements import (
    amounts_of,
    memory_of,
    other_share,
    relations_of,
    transitions_of,
    values_of,
)
from fedsynth_release.report.measured_judgements import (
    measured_amounts,
    measured_cells,
    measured_relations,
    measured_transition,
    measured_values,
    with_persons_alone,
)
from fedsynth_release.report.scores import (
    ORDER,
    Judgement,
    Light,
    light_of,
    mean_score,
    worst,
)
from fedsynth_release.sampling.latents import column_probabilities
from fedsynth_release.statement.quality import Quality


@dataclass(frozen=True)
class Verdict:
    """What a column is worth, and why.

    Attributes:
        name: the column.
        judgements: every aspect that says something about it, the worst first.
    """

    name: str
    judgements: tuple[Judgement, ...]

    @classmethod
    def of(cls, name: str, judgements: Sequence[Judgement]) -> "Verdict":
        """The verdict by these aspects; those that say nothing are left out."""
        said = [judgement for judgement in judgements if judgement.reason]
        said.sort(key=lambda j: -ORDER.index(j.light) if j.light else 1)
        return cls(name, tuple(said))

    @property
    def light(self) -> Light:
        """The light of the worst aspect."""
        return worst(self.judgements)

    @property
    def score(self) -> float | None:
        """The mean over the aspects, 0 to 100; None if no aspect has a score."""
        return mean_score(self.judgements)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why, the worst aspect first."""
        return tuple(judgement.reason for judgement in self.judgements)


def verdicts_of(
    generator: Generator, evaluation: Evaluation | None, measured: Measurements | None
) -> list[Verdict]:
    """The verdict on each modelled column, in order.

    Raises:
        InputError: the evaluation or the measurements are about other columns than the generator.
    """
    names = [column.name for column in generator.model_schema.modelled]
    shares = generator_shares(generator)
    if evaluation:
        if [c.name for c in evaluation.fidelity.columns] != names:
            raise InputError(
                "evaluation: its columns are not those of the generator; use the evaluation of this "
                "study"
            )
        found = found_judgements(evaluation.fidelity)
        follows = _over_time(generator, evaluation.histories)
        parts = [(*aspects, *follows.get(j, ())) for j, aspects in enumerate(found)]
    elif measured:
        parts = expected_judgements(generator, measured, shares)
    else:
        none = Judgement("unknown", "there are no measurements to compare the column with")
        parts = [(none,)] * len(names)
    return _verdicts(generator, names, parts)


def found_verdicts(generator: Generator, fidelity: Fidelity) -> list[Verdict]:
    """The verdict on each column by what was found beside real records."""
    names = [column.name for column in generator.model_schema.modelled]
    return _verdicts(generator, names, found_judgements(fidelity))


def _verdicts(
    generator: Generator, names: Sequence[str], parts: Sequence[tuple[Judgement, ...]]
) -> list[Verdict]:
    return [
        Verdict.of(name, (*aspects, other_share(share)))
        for name, aspects, share in zip(names, parts, shares_of_other(generator), strict=True)
    ]


def found_judgements(fidelity: Fidelity) -> list[tuple[Judgement, ...]]:
    """For each column, what was found beside real records."""
    return [
        (values_of(column), amounts_of(column), relations_of(j, fidelity.pairs))
        for j, column in enumerate(fidelity.columns)
    ]


def expected_judgements(
    generator: Generator, measured: Measurements, shares: Sequence[Float64Array]
) -> list[tuple[Judgement, ...]]:
    """For each column, what is to be expected by the measurements; `shares` are the generator's.

    Raises:
        InputError: the measurements belong to another generator.
    """
    columns = generator.model_schema.modelled
    numbers = np.array([domain_of(column).ordered for column in columns])
    events = _event_columns(generator)
    found: list[tuple[Judgement, ...]] = []
    for j in range(len(columns)):
        if len(measured.columns[j].frequencies) != len(shares[j]):
            raise InputError(
                "measurements.json: does not belong to this generator; use the file of the same study"
            )
        relations = measured_relations(j, measured.pairs, numbers)
        values = _of_values(generator, measured, j, shares[j])
        if j in events:
            known = measured.transitions[j] if measured.transitions else None
            found.append((*values, with_persons_alone(relations), measured_transition(known)))
        else:
            found.append((*values, relations))
    return found


def _of_values(
    generator: Generator, measured: Measurements, index: int, shares: Float64Array
) -> tuple[Judgement, ...]:
    """The aspects of a single column: its values, its cells and its amounts."""
    column, noisy = generator.model_schema.modelled[index], measured.columns[index]
    if measured.cell_error is None:
        old = "values: the measurements are of an earlier version, which did not state their noise"
        return (Judgement("unknown", old),)
    part = MeasuredShares.of(
        column,
        generator.codebook,
        index,
        (np.array(noisy.frequencies), noisy.error, measured.cell_error),
        measured.records,
    )
    return (
        measured_values(part, shares),
        measured_cells(part),
        measured_amounts(part, column.kind in AMOUNTS),
    )


def _event_columns(generator: Generator) -> frozenset[int]:
    """Places of the columns of events; none unless persons have histories."""
    if generator.schema.histories is None:
        return frozenset()
    return frozenset(layout_of(generator.schema).events)


def _over_time(
    generator: Generator, histories: HistoryFidelity | None
) -> dict[int, tuple[Judgement, ...]]:
    """Of columns of events, how they follow from the previous event."""
    if histories is None or generator.schema.histories is None:
        return {}
    layout = layout_of(generator.schema)
    found = by_source(histories, layout.sources, layout.events)
    return {place: (transitions_of(column), memory_of(column)) for place, column in found.items()}


def generator_shares(generator: Generator) -> list[Float64Array]:
    """For each column, the exact frequencies of the generator's codes."""
    return [table.mean(axis=0) for table in column_probabilities(generator.mixture)]


def shares_of_other(generator: Generator) -> list[float]:
    """For each column, the share of drawn records whose text the schema does not list."""
    columns = generator.model_schema.modelled
    return [
        _share_of_other(column, generator, j, shares)
        for j, (column, shares) in enumerate(zip(columns, generator_shares(generator), strict=True))
    ]


def _share_of_other(
    column: ModelledColumn, generator: Generator, index: int, shares: Float64Array
) -> float:
    other = domain_of(column).other
    if other is None or len(domain_of(column).labels) == 1:
        return 0.0
    view = generator.codebook.views[index]
    return float(shares[view[other]]) if (view == view[other]).sum() == 1 else 0.0


def overall(verdicts: Sequence[Verdict]) -> float | None:
    """The score of the table: the mean over its columns; None if none has a score."""
    scores = [verdict.score for verdict in verdicts if verdict.score is not None]
    return sum(scores) / len(scores) if scores else None


def counts(verdicts: Sequence[Verdict]) -> dict[Light, int]:
    """How many columns have each light."""
    return {light: sum(verdict.light == light for verdict in verdicts) for light in ORDER}


def quality_of(generator: Generator, measured: Measurements | None) -> Quality | None:
    """The quality that the statement tells; None without measurements.

    Raises:
        InputError: the measurements are about other columns than the generator.
    """
    if measured is None:
        return None
    verdicts = verdicts_of(generator, None, measured)
    score, light = table_score(verdicts)
    return Quality(score=score, light=light, columns=counts(verdicts))


def table_score(verdicts: Sequence[Verdict]) -> tuple[int | None, Light]:
    """The score of the table in whole points, and its light."""
    score = overall(verdicts)
    return (None, "unknown") if score is None else (round(score), light_of(round(score)))
