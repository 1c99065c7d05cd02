"""The first page of a report: for a board, in plain words, without a Greek letter or a formula.

Nothing is judged here. The promise comes from `promise.plain_words`, and the findings are the
verdicts of `verdicts.py` in words that need no statistics. The terminal prints `summary_lines`, so it
says what the page says.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from fedsynth_common.promise.plain_words import Promise
from fedsynth_release.evaluation.results import Evaluation
from fedsynth_release.measurements import Measurements
from fedsynth_release.report.scores import ORDER, Light
from fedsynth_release.report.verdicts import Verdict, counts, table_score
from fedsynth_release.statement.privacy_statement import PrivacyStatement
from fedsynth_release.statement.promised import promise_of
from fedsynth_release.statement.quality import ESTIMATED, Quality

LISTED = 5
"""Most columns among the best findings, and among the worst."""

_PLAIN: dict[str, dict[Light, str]] = {
    "values": {
        "good": "its values are about as frequent as in the real records",
        "fair": "some of its values are more frequent or less frequent than in the real records",
        "poor": "its values are much more frequent or less frequent than in the real records",
        "unknown": "nothing says how frequent its values really are",
    },
    "cells": {
        "fair": "it was measured in few, coarse ranges",
        "poor": "it was measured in two or three coarse ranges, so single values mean nothing",
    },
    "amounts": {
        "good": "its average and its spread hold",
        "fair": "its average, its spread or its largest values are off",
        "poor": "its average, its spread or its largest values are wrong",
    },
    "relations": {
        "good": "it goes with the other columns as in the real records",
        "fair": "it goes with the other columns, but less than in the real records",
        "poor": "most of what it has to do with the other columns is lost",
        "unknown": "noise hides what it has to do with the other columns",
    },
    "other": {
        "poor": "most of what it says is 'other': its texts are not in the list of the schema"
    },
    "transitions": {
        "good": "it changes over time as in the real records",
        "fair": "it changes over time, but not quite as in the real records",
        "poor": "it does not change over time as in the real records",
        "unknown": "without real records nobody knows whether it changes over time as it should",
    },
    "memory": {
        "fair": "a person's earlier values matter less than in the real records",
        "poor": "a person's earlier values hardly matter any more",
    },
}
NOTHING = "there is nothing to compare it with"
NOT_FOR = (
    "decide about a single person: no synthetic record is about a real one",
    "publish a finding that nobody has checked on the real records",
    "count rare diseases, rare groups or extreme values",
    "judge a treatment, a hospital or a person's performance",
)
USED_FOR = (
    "develop and test software",
    "teach",
    "explore what the table looks like",
    "prepare an analysis that will then run on the real records",
)


@dataclass(frozen=True)
class Finding:
    """One column in plain words."""

    name: str
    light: Light
    score: float | None
    sentence: str


@dataclass(frozen=True)
class FirstPage:
    """Everything on the first page.

    Attributes:
        promise: what was promised about privacy.
        score: of the table, 0 to 100; None if nothing has a score.
        light: of that score; unknown without one.
        counts: how many columns have each light.
        best, worst: the columns with the highest scores, and those with the lowest.
        compared: what the quality was judged by, in one sentence.
        attacks: what attacks found, in one sentence; empty if none were run.
        sites: the names of the sites.
        contact, expires: as the statement words them; may be empty.
        written_on: the day on which the report was written, in words; may be empty.
    """

    promise: Promise
    score: int | None
    light: Light
    counts: dict[Light, int]
    best: tuple[Finding, ...]
    worst: tuple[Finding, ...]
    compared: str
    attacks: str
    sites: tuple[str, ...]
    contact: str
    expires: str
    written_on: str


def first_page(
    statement: PrivacyStatement,
    verdicts: Sequence[Verdict],
    evaluation: Evaluation | None,
    measured: Measurements | None,
    attacks: Sequence[Light] = (),
    written_on: date | None = None,
) -> FirstPage:
    """The first page of a generator's report; `attacks` are the lights of all attacks that were run."""
    score, light = table_score(verdicts)
    found = [_finding(verdict) for verdict in verdicts]
    ranked = sorted(found, key=lambda one: (-_order(one.light), _known(one.score)))
    worst = tuple(one for one in ranked if one.light != "good")[:LISTED]
    best = tuple(one for one in reversed(ranked) if one.light in ("good", "fair"))[:LISTED]
    return FirstPage(
        promise=promise_of(statement, measured.records if measured else None),
        score=score,
        light=light,
        counts=counts(verdicts),
        best=tuple(one for one in best if one not in worst),
        worst=worst,
        compared=_compared(evaluation, measured, statement.quality),
        attacks=attack_sentence(attacks),
        sites=tuple(site.site for site in statement.sites),
        contact=statement.contact,
        expires=statement.expires,
        written_on=f"{written_on:%d %B %Y}".lstrip("0") if written_on else "",
    )


def _order(light: Light) -> int:
    return ORDER.index(light)


def _known(score: float | None) -> float:
    return -1.0 if score is None else score


def _finding(verdict: Verdict) -> Finding:
    """A column by its worst aspects; the sentences of two aspects at most."""
    light = verdict.light
    sentences = [
        words
        for judgement in verdict.judgements
        if judgement.light == light
        and (words := _PLAIN.get(judgement.reason.split(":")[0], {}).get(light))
    ]
    return Finding(verdict.name, light, verdict.score, "; ".join(sentences[:2]) or NOTHING)


def _compared(
    evaluation: Evaluation | None, measured: Measurements | None, released: Quality | None
) -> str:
    if evaluation:
        published = f" The report that may be published says {released.words}." if released else ""
        return (
            "The quality was measured on real records that the generator has never seen. "
            f"This page must therefore not be published.{published}"
        )
    if measured:
        return f"The score is {ESTIMATED}."
    return "The quality could not be judged, because the release has no measurements."


def attack_sentence(lights: Sequence[Light]) -> str:
    """What the attacks found, by the lights of all that were run.

    >>> attack_sentence(["good", "good", "unknown"])
    '2 of 3 attacks found nothing; of 1 nobody can tell, because it was too weak.'
    """
    if not lights:
        return ""
    found, blind = lights.count("poor"), lights.count("unknown")
    quiet = len(lights) - found - blind
    if found:
        leak = f"{found} of {len(lights)} attacks found a leak. Do not release this table."
        return leak if not blind else f"{leak} Of {blind} nobody can tell."
    if blind:
        weak = "because it was too weak" if blind == 1 else "because they were too weak"
        return (
            f"{quiet} of {len(lights)} attacks found nothing; of {blind} nobody can tell, {weak}."
        )
    return f"None of {len(lights)} attacks found anything."


def summary_lines(page: FirstPage) -> list[str]:
    """The first page for a terminal: the promise, the quality and the worst columns."""
    lines = [f"privacy: {page.promise.headline}", *page.promise.sentences]
    quality = Quality(score=page.score, light=page.light, columns=page.counts)
    lines += [f"quality: {quality.words}; columns: {quality.counted}", page.compared]
    lines += [f"  {one.name}: {one.light}, {one.sentence}" for one in page.worst]
    return lines if not page.attacks else [*lines, f"attacks: {page.attacks}"]
