"""report.html: one self-contained page about a generator, for people who decide and people who check.

It opens from a disk, asks for nothing on a network, runs no script (the page forbids scripts itself,
in a Content-Security-Policy), prints, follows the reader's light or dark preference, and has a table
behind every drawing. Whatever text comes from a schema, plan, evaluation or name is escaped by the
template; drawings are escaped where they are made (`svg.py`).

A report made with an evaluation holds facts about real records and says so at the top. One made
without is post-processing of what the sites released, and costs nothing.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import jinja2
from markupsafe import Markup

from fedsynth_common.errors import InputError
from fedsynth_release.evaluation.results import Evaluation
from fedsynth_release.generator import Generator
from fedsynth_release.generator_files import MEASUREMENTS
from fedsynth_release.measurements import Measurements
from fedsynth_release.report import judgements, sections
from fedsynth_release.report.budget import bounds, budget_plot, budget_rows
from fedsynth_release.report.columns import ColumnView, column_views
from fedsynth_release.report.curves import panels
from fedsynth_release.report.history import StudyHistory
from fedsynth_release.report.pairs import pair_views


@dataclass(frozen=True)
class _Sources:
    """What a report is made from."""

    generator: Generator
    evaluation: Evaluation | None
    measured: Measurements | None
    history: StudyHistory | None


def write_report(
    folder_of_generator: Path,
    out: Path,
    *,
    evaluation: Evaluation | None = None,
    history: StudyHistory | None = None,
    force: bool = False,
) -> None:
    """Write the report of a generator folder.

    Args:
        folder_of_generator: as the export of a study writes it.
        out: the HTML file.
        evaluation: figures measured on real records; makes the report one that must not be released.
        history: how the coordinator's training went.
        force: whether an existing file may be replaced.

    Raises:
        InputError: a missing or damaged folder, an evaluation of another table, an existing file.
    """
    if out.is_dir():
        raise InputError(f"{out}: is a folder; expected the name of a file such as report.html")
    if out.exists() and not force:
        raise InputError(f"{out}: exists; choose another name or pass --force")
    page = render(folder_of_generator, evaluation, history)
    draft = out.with_name(f".{out.name}.part")
    try:
        draft.unlink(missing_ok=True)
        mode = 0o600 if evaluation else 0o666  # facts about real records are for their owner's eyes
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(page.encode())
        draft.replace(out)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise InputError(f"{out}: cannot be written ({error.strerror})") from None


def render(
    folder: Path, evaluation: Evaluation | None = None, history: StudyHistory | None = None
) -> str:
    """The page as text; see `write_report`."""
    path = folder / MEASUREMENTS
    generator = Generator.load(folder)
    measured = Measurements.load(path) if path.is_file() else None
    if measured and [c.name for c in measured.columns] != list(_names(generator)):
        raise InputError(f"{path}: its columns are not those of the generator")
    sources = _Sources(generator, evaluation, measured, history)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fedsynth_release.report"),
        autoescape=True,  # every template, whatever its name
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["style"] = Markup(environment.get_template("style.css").render())  # noqa: S704 - our own file
    environment.filters.update(figure=_figure, sentence=_sentence, digits="{:.3g}".format)
    return environment.get_template("report.html.j2").render(**_facts(sources))


def _names(generator: Generator) -> tuple[str, ...]:
    return tuple(column.name for column in generator.schema.modelled)


def _facts(sources: _Sources) -> dict[str, object]:
    """Everything the template names."""
    generator, evaluation, measured = sources.generator, sources.evaluation, sources.measured
    statement = generator.statement
    views = column_views(generator, evaluation, measured)
    attacks = sections.attack_views(evaluation.attacks) if evaluation else []
    budget = budget_rows(statement)
    return {
        "study": statement.study,
        "table": generator.schema.name,
        "statement": statement,
        "schema": generator.schema,
        "evaluation": evaluation,
        "measured": measured,
        "reference": _reference(evaluation, measured),
        "columns": views,
        "counts": _counts(views),
        "fidelity": sections.fidelity_rows(evaluation) if evaluation else [],
        "utility": sections.utility_rows(evaluation.utility) if evaluation else [],
        "utility_plots": sections.utility_plots(evaluation.utility) if evaluation else [],
        "pairs": pair_views(_names(generator), evaluation, measured),
        "attacks": attacks,
        "roles": sections.ROLES,
        "copies": evaluation.copies if evaluation else (),
        "budget": budget,
        "budget_plot": budget_plot(budget),
        "panels": panels(sources.history.curves) if sources.history else [],
        "history": sources.history,
        "bounds": bounds(statement),
        "symbols": {"good": "●", "fair": "▲", "poor": "■", "unknown": "○"},
        "thresholds": judgements,
    }


def _reference(evaluation: Evaluation | None, measured: Measurements | None) -> str:
    if evaluation:
        return "real training records"
    if measured:
        return "noisy measurements of all sites together"
    return "none: neither an evaluation nor measurements are at hand"


def _counts(views: list[ColumnView]) -> dict[str, int]:
    lights = ("good", "fair", "poor", "unknown")
    return {light: sum(view.light == light for view in views) for light in lights}


def _figure(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
