"""What a plan or a release promises, in words for people who decide: the one source of all documents.

A privacy statement is exact and full of terms. Here it becomes a light and a few sentences that a
member of an ethics board can read aloud. Whatever shows a promise to people takes it from here, so that
no page can promise more than another. A void promise is void everywhere: then there is no figure.

| light | when |
|---|---|
| good | ε at most 3, and δ at most 1 / records |
| fair | ε above 3 |
| poor | ε above 10, δ above 1 / records, or the promise is void |

The ε of a light is that of the privacy unit. If the unit is a record, a person with k records has k
times that ε (group privacy: Dwork & Roth 2014, Theorem 2.2). Nobody outside a site knows how many
records a person has, so the sentences do not say that anybody has several. They say what holds *if*
somebody has, with `ROWS` as the example.
"""

import math
from dataclasses import dataclass
from typing import Literal

from fedsynth_common.promise.meaning import best_accuracy

WEAK, VERY_WEAK = 3.0, 10.0
"""ε above which a promise is fair, and above which it is poor."""
ROWS = 5
"""Records of a person in the example for a promise about single records."""
CERTAIN = 0.995
"""Share of right guesses above which a promise is said to protect no longer."""
LEAST_RECORDS = 1000
"""Number of records that δ is compared with where it is not known."""

LEARN = (
    "Somebody may know everything about {who} except whether {whose} used, and look at everything that "
    "was published. Guessing whether {whose} used, they are right in at most {right} of all cases. "
    "A coin is right in 50 %."
)


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What is promised, in figures.

    Attributes:
        epsilon, delta: of somebody who is at one site only.
        rows_per_person: the most records of a person that are used; None if the unit is a record.
        cohorts_per_person: in how many cohorts records of a person are used; None without cohorts.
        sites: how many take part.
        everywhere: ε of somebody who is at every site.
        alone: ε if all other sites work together against one; None where no noise is shared.
    """

    epsilon: float
    delta: float
    rows_per_person: int | None
    sites: int
    everywhere: float
    alone: float | None = None
    cohorts_per_person: int | None = None


@dataclass(frozen=True)
class Promise:
    """What a release promises.

    Attributes:
        light: good, fair or poor.
        holds: whether there is a promise at all.
        headline: the promise in a few words.
        protected: who or what is protected, in one or two sentences.
        attacker: what an attacker could learn at most; empty if the promise is void.
        warnings: what a reader has to know besides.
    """

    light: Literal["good", "fair", "poor"]
    holds: bool
    headline: str
    protected: str
    attacker: str
    warnings: tuple[str, ...]

    @property
    def sentences(self) -> tuple[str, ...]:
        """Everything that is said, in order."""
        return tuple(text for text in (self.protected, self.attacker, *self.warnings) if text)


def promise_of(terms: Terms, records: float | None = None) -> Promise:
    """The promise of these terms; `records` is the number of all sites' records, if it is known."""
    epsilon, delta = terms.epsilon, terms.delta
    fails = delta > 1.0 / (records or LEAST_RECORDS)
    light: Literal["good", "fair", "poor"] = "good"
    if fails or epsilon > VERY_WEAK:
        light = "poor"
    elif epsilon > WEAK:
        light = "fair"
    strength = {"good": "strong" if epsilon <= 1 else "clear"}.get(light, "weak")
    if light == "poor":
        strength = "very weak"
    unit = "every single record" if terms.rows_per_person is None else "every person"
    return Promise(
        light=light,
        holds=True,
        headline=f"A {strength} privacy promise for {unit}",
        protected=_protected(terms),
        attacker=_attacker(terms),
        warnings=(*_overlap(terms), *_failing(terms, fails, records)),
    )


def _protected(terms: Terms) -> str:
    loss = terms.epsilon
    if terms.rows_per_person is None:
        return (
            "The promise is about one record. The privacy loss (epsilon) of a record is "
            f"{figure(loss)}. If every person has one record, this is also the privacy loss of a "
            "person. If somebody has more records than one, it grows with each of them: with "
            f"{ROWS} records it would be {ROWS} times as much, {figure(ROWS * loss)}."
        )
    rows = terms.rows_per_person
    used = "one record" if rows == 1 else f"{rows} records"
    if (most := terms.cohorts_per_person) is not None:
        return (
            "The promise is about the records of a person in one cohort. A site uses at most "
            f"{used} of a person there and leaves the others out. The privacy loss (epsilon) of a "
            f"person in this cohort at one site is {figure(loss)}. Records of a person are used in at "
            f"most {most} cohort{'s' * (most > 1)}, the first ones that hold some. If all of them cost "
            f"as much as this one, the privacy loss of such a person is at most {figure(most * loss)}."
        )
    return (
        f"The promise is about a person. A site uses at most {used} of a person. If somebody has more, "
        "the site leaves the others out, so that the promise holds all the same. "
        f"The privacy loss (epsilon) of a person at one site is {figure(loss)}."
    )


def _attacker(terms: Terms) -> str:
    epsilon, delta = terms.epsilon, terms.delta
    if terms.rows_per_person is not None:
        right = per_cent(best_accuracy(epsilon, delta))
        whose = "that person's records were"
        if terms.cohorts_per_person is not None:
            whose = "that person's records in this cohort were"
        return LEARN.format(who="a person", whose=whose, right=right)
    right = per_cent(best_accuracy(epsilon, delta))
    sentence = LEARN.format(who="a record", whose="that record was", right=right)
    several = f"{sentence} If somebody had {ROWS} records and the question were about all of them, "
    accuracy = best_accuracy(*group(epsilon, delta, ROWS))
    if accuracy > CERTAIN:
        return several + "the promise would not protect them: a guess could nearly always be right."
    return several + f"they would be right in at most {per_cent(accuracy)}."


def _overlap(terms: Terms) -> list[str]:
    found = []
    if terms.sites > 1:
        everywhere = figure(terms.everywhere)
        unit = "record" if terms.rows_per_person is None else "person"
        found.append(
            f"A {unit} that is in the tables of all {terms.sites} sites has a privacy loss of "
            f"{everywhere}."
        )
    alone = terms.alone
    if alone is not None:
        found.append(
            "If all other sites work together against one site, the privacy loss there is "
            f"{figure(alone)}."
        )
    if terms.epsilon > VERY_WEAK:
        found.append(
            "With such a privacy loss the promise excludes hardly anything that an attacker could "
            "learn. It must not be the only reason for publishing."
        )
    elif terms.epsilon > WEAK:
        found.append(
            "With such a privacy loss the promise is weak: an attacker who has a suspicion may become "
            "almost certain."
        )
    return found


def _failing(terms: Terms, fails: bool, records: float | None) -> list[str]:
    if not fails:
        return []
    delta = f"{terms.delta:g}"
    than = f"1 in {records:,.0f}, the number of records" if records else f"1 in {LEAST_RECORDS:,}"
    return [
        f"The promise may fail altogether with a probability (delta) of {delta}. This is more than "
        f"{than}, so that it would allow somebody's records to be published as they are."
    ]


def group(epsilon: float, delta: float, rows: int) -> tuple[float, float]:
    """The ε and δ of somebody with several records, if (ε, δ) protects one record.

    >>> group(1.0, 1e-6, 1)
    (1.0, 1e-06)
    """
    together = rows * epsilon
    if together > 500:
        return together, 1.0
    return together, min(1.0, delta * sum(math.exp(i * epsilon) for i in range(rows)))


def figure(loss: float) -> str:
    """A privacy loss for people: two decimals, rounded up so that no text promises more.

    >>> figure(0.9936), figure(38.5), figure(math.inf)
    ('1.00', '38.50', 'without a limit')
    """
    return f"{math.ceil(loss * 100 - 1e-9) / 100:.2f}" if math.isfinite(loss) else "without a limit"


def per_cent(share: float) -> str:
    """A share with one decimal, as docs/EPSILON.md has it.

    >>> per_cent(0.7311)
    '73.1 %'
    """
    return f"{100 * share:.1f} %"
