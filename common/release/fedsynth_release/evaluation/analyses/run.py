"""Runs all declared analyses on a table of real and a table of synthetic rows."""

from collections.abc import Callable, Sequence

import pandas as pd

from fedsynth_common.schema import Schema
from fedsynth_release.evaluation.analyses.comparison import conclusion_of
from fedsynth_release.evaluation.analyses.declared import (
    Analysis,
    Cox,
    Linear,
    Logistic,
    Means,
    Proportions,
)
from fedsynth_release.evaluation.analyses.design import Design, design_of
from fedsynth_release.evaluation.analyses.estimates import fitted, need_statsmodels
from fedsynth_release.evaluation.analysis_results import AnalysisResult

NO_NOISE = (
    "the interval of the synthetic rows covers the chance of drawing rows, and not the noise that was "
    "added for privacy; it is narrower than what is really unknown"
)
ALIKE = 0.1


def run_analyses(
    declared: Sequence[Analysis],
    real: pd.DataFrame,
    synthetic: pd.DataFrame,
    schema: Schema,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[AnalysisResult, ...]:
    """Each analysis on both tables, compared.

    Args:
        declared: as `declared.read_analyses` reads them.
        real: real rows, whose results are private.
        synthetic: the table to judge.
        schema: the public schema of both tables.
        say: is called with a text whenever another analysis begins.

    Raises:
        InputError: statsmodels is not installed, or a table lacks a column.
    """
    need_statsmodels()
    results = []
    for analysis in declared:
        say(f"analysis: {analysis.name}")
        results.append(_result(analysis, design_of(analysis, real, synthetic, schema)))
    return tuple(results)


def _result(analysis: Analysis, design: Design) -> AnalysisResult:
    fits = [
        fitted(analysis, rows, matrix)
        for rows, matrix in zip((design.real, design.synthetic), design.matrices, strict=True)
    ]
    (real, why_real), (made, why_made) = fits
    named = {"real": why_real, "synthetic": why_made}
    why = next((f"in the {table} rows, {said}" for table, said in named.items() if said), "")
    level = isinstance(analysis, Means | Proportions)
    conclusions = tuple(
        conclusion_of(label, one, other, level=level, why=why)
        for label, one, other in zip(design.labels, real, made, strict=True)
    )
    sizes = len(design.real.outcome), len(design.synthetic.outcome)
    return AnalysisResult(
        name=analysis.name,
        kind=analysis.kind,
        what=_what(analysis),
        rows_real=sizes[0],
        rows_synthetic=sizes[1],
        missing_real=design.real.dropped,
        missing_synthetic=design.synthetic.dropped,
        left_out=design.left_out,
        conclusions=conclusions,
        notes=(NO_NOISE, *_size_note(*sizes)),
    )


def _size_note(real: int, synthetic: int) -> tuple[str, ...]:
    if abs(synthetic - real) <= ALIKE * real:
        return ()
    more = "narrower" if synthetic > real else "wider"
    return (
        f"{synthetic} synthetic rows were used, and {real} real ones: the synthetic intervals are "
        f"{more} for that reason alone; draw as many rows as there are real ones",
    )


def _what(analysis: Analysis) -> str:
    """What the estimates are, in words."""
    if isinstance(analysis, Means):
        return f"mean of {analysis.outcome}" + (f" by {analysis.by}" if analysis.by else "")
    if isinstance(analysis, Linear):
        return f"change of {analysis.outcome} per unit of a term"
    values = " or ".join(analysis.values) or "yes"
    if isinstance(analysis, Proportions):
        groups = f" by {analysis.by}" if analysis.by else ""
        return f"share of rows with {analysis.outcome} = {values}{groups}"
    if isinstance(analysis, Logistic):
        return f"logarithm of the odds ratio of {analysis.outcome} = {values}"
    assert isinstance(analysis, Cox)  # noqa: S101 - the last of the kinds
    return f"logarithm of the hazard ratio of {analysis.event} = {values} over {analysis.time}"
