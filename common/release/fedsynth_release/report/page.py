"""Writes report.html, one page about a generator for people who decide and for people who check.

The page is a single file. It loads nothing from a network and runs no script; its
Content-Security-Policy forbids scripts. It can be printed, it follows the reader's choice of light
or dark colours, and it has a table behind every drawing. The template escapes every text that comes
from a schema, plan or evaluation; `svg.py` escapes the texts of the drawings.

A report with an evaluation contains facts about real records, and says so at its top. A report
without one is computed only from what the sites released. That is post-processing, so it costs no
privacy budget.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from fedsynth_common.durable import write_output
from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_PLAN_BYTES, read_limited
from fedsynth_common.protocol.plan import Plan
from fedsynth_release.drift import Drift
from fedsynth_release.evaluation.results import Evaluation
from fedsynth_release.generator import Generator
from fedsynth_release.generator_files import DRIFT, LINEAGE, MEASUREMENTS, PLAN
from fedsynth_release.lineage import Lineage, sites_over_cohorts
from fedsynth_release.measurements import Measurements
from fedsynth_release.report import histories, judgements, measured_judgements, scores, sections
from fedsynth_release.report.budget import bounds, budget_plot, budget_rows
from fedsynth_release.report.columns import column_views
from fedsynth_release.report.curves import panels
from fedsynth_release.report.first_page import NOT_FOR, USED_FOR, FirstPage, first_page
from fedsynth_release.report.history import StudyHistory
from fedsynth_release.report.pairs import pair_views
from fedsynth_release.report.persons import twelve_persons
from fedsynth_release.report.samples import samples


@dataclass(frozen=True)
class _Sources:
    """The files that a report is computed from; optional ones can be None."""

    generator: Generator
    evaluation: Evaluation | None
    measured: Measurements | None
    history: StudyHistory | None
    drift: Drift | None
    sites: Mapping[str, tuple[str, str]]


def write_report(
    folder_of_generator: Path,
    out: Path,
    *,
    evaluation: Evaluation | None = None,
    history: StudyHistory | None = None,
    force: bool = False,
    written_on: date | None = None,
) -> FirstPage:
    """Write the report of a generator folder.

    Args:
        folder_of_generator: a generator folder as the export of a study writes it.
        out: the HTML file to write.
        evaluation: figures that were measured on real records. A report with them must not be
            published.
        history: the record of the coordinator's training.
        force: whether an existing file may be replaced.
        written_on: the day that the page names; None names none.

    Returns:
        The first page, for a terminal.

    Raises:
        InputError: the folder is missing or damaged, the evaluation is about another table, or the
            file exists.
    """
    if out.is_dir():
        raise InputError(f"{out}: is a folder; expected the name of a file such as report.html")
    if out.exists() and not force:
        raise InputError(f"{out}: exists; choose another name or pass --force")
    facts = _facts(_sources(folder_of_generator, evaluation, history), written_on)
    # a page with an evaluation holds facts about real records: only its owner may read it
    write_output(out, _page(facts), 0o600 if evaluation else None)
    first: FirstPage = facts["page"]
    return first


def render(
    folder: Path, evaluation: Evaluation | None = None, history: StudyHistory | None = None
) -> str:
    """The page as text; see `write_report`."""
    return _page(_facts(_sources(folder, evaluation, history), None))


def _sources(folder: Path, evaluation: Evaluation | None, history: StudyHistory | None) -> _Sources:
    """Everything that is read from the folder of a generator."""
    path = folder / MEASUREMENTS
    generator = Generator.load(folder)
    measured = Measurements.load(path) if path.is_file() else None
    if measured and [c.name for c in measured.columns] != list(_names(generator)):
        raise InputError(
            f"{path}: its columns are not those of the generator; use the file of the same study"
        )
    drift = Drift.load(folder / DRIFT) if (folder / DRIFT).is_file() else None
    return _Sources(generator, evaluation, measured, history, drift, _sites(folder))


def _sites(folder: Path) -> dict[str, tuple[str, str]]:
    """The first and the last cohort of every site, where a release is a refresh."""
    if not (folder / LINEAGE).is_file():
        return {}
    plan = Plan.from_json(read_limited(folder / PLAN, MAX_PLAN_BYTES))
    return sites_over_cohorts(plan, Lineage.load(folder / LINEAGE))


def _page(facts: dict[str, Any]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fedsynth_release.report"),
        autoescape=True,  # every template, whatever its name
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["style"] = Markup(environment.get_template("style.css").render())  # noqa: S704 - our own file
    environment.globals["roles"] = sections.ROLES
    environment.filters.update(figure=_figure, sentence=_sentence, digits="{:.3g}".format)
    return environment.get_template("report.html.j2").render(**facts)


def _names(generator: Generator) -> tuple[str, ...]:
    return tuple(column.name for column in generator.model_schema.modelled)


def _facts(sources: _Sources, written_on: date | None) -> dict[str, Any]:
    """The values of all names that the template uses."""
    generator, evaluation, measured = sources.generator, sources.evaluation, sources.measured
    statement = generator.statement
    views = column_views(generator, evaluation, measured)
    over_time = evaluation.histories if evaluation else None
    attacks = sections.attack_views(evaluation.attacks) if evaluation else []
    budget = budget_rows(statement)
    return _training(sources) | {
        "study": statement.study,
        "table": generator.schema.name,
        "statement": statement,
        "schema": generator.schema,
        "evaluation": evaluation,
        "measured": measured,
        "reference": _reference(evaluation, measured),
        "columns": views,
        "unmodelled": generator.schema.unmodelled,
        "page": first_page(
            statement,
            [view.verdict for view in views],
            evaluation,
            measured,
            [attack.judgement.light or "unknown" for attack in attacks],
            written_on,
        ),
        "used_for": USED_FOR,
        "not_for": NOT_FOR,
        "fidelity": sections.fidelity_rows(evaluation) if evaluation else [],
        "giveaways": sections.giveaway_rows(evaluation) if evaluation else [],
        "utility": (
            sections.utility_rows(evaluation.utility, over_time is not None) if evaluation else []
        ),
        "histories": histories.history_rows(over_time) if over_time else {},
        "over_time": histories.over_time(over_time) if over_time else [],
        "persons": twelve_persons(generator),
        "samples": samples(generator),
        "utility_plots": sections.utility_plots(evaluation.utility) if evaluation else [],
        "pairs": pair_views(_names(generator), evaluation, measured),
        "attacks": attacks,
        "copies": evaluation.copies if evaluation else (),
        "budget": budget,
        "budget_plot": budget_plot(budget),
        "bounds": bounds(statement),
        "symbols": {"good": "●", "fair": "▲", "poor": "■", "unknown": "○"},
        "thresholds": judgements,
        "scale": scores,
        "expected": measured_judgements,
    }


def _training(sources: _Sources) -> dict[str, Any]:
    """What only the coordinator knows: how it trained, and what changed between cohorts."""
    return {
        "panels": panels(sources.history.curves) if sources.history else [],
        "history": sources.history,
        "drift": sources.drift,
        "sites_over_cohorts": sources.sites,
    }


def _reference(evaluation: Evaluation | None, measured: Measurements | None) -> dict[str, str]:
    """What columns are compared with: a name for it, and a sentence that says so."""
    if evaluation:
        name = "the real training records"
    elif measured:
        name = "the noisy counts that all sites measured together"
    else:
        none = "there is neither an evaluation nor a file of measurements to compare with"
        return {"name": none, "sentence": f"The columns are compared with nothing: {none}."}
    sentence = f"The columns of the generator are compared with the reference, which is {name}."
    return {"name": name, "sentence": sentence}


def _figure(value: float | None, digits: int = 3) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
