"""Persons of whom some event meets a condition: exact probabilities, and what is drawn."""

import itertools

import numpy as np
import pandas as pd
import pytest
from small_histories import HISTORIES, history_schema_of
from small_sampler import a_sampler

from fedsynth_common.errors import InputError
from fedsynth_common.schema import Schema, domain_of, history_schema, layout_of
from fedsynth_common.schema.rules import MissingIf, When
from fedsynth_release.histories.event_conditions import EventConditions
from fedsynth_release.histories.history_sampler import HistorySampler
from fedsynth_release.histories.network import Chains
from fedsynth_release.sampling.condition_sets import condition_sets, opposite
from fedsynth_release.sampling.conditions import Condition

FLAT = history_schema(HISTORIES)


def slow_probability(chains: Chains, hits: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """P(every condition is met by some event | z), path by path; two conditions."""
    regimes, latents = chains.initial.shape
    total = np.zeros(latents)
    for z, n in itertools.product(range(latents), 1 + np.flatnonzero(allowed)):
        for path in itertools.product(range(regimes), repeat=int(n)):
            p = float(chains.initial[path[0], z])
            for t, (r, s) in enumerate(itertools.pairwise(path)):
                p *= float((1 - chains.stop[t, r, z]) * chains.moves[r, s, z])
            p *= float(chains.stop[n - 1, path[-1], z])
            chance = np.array([hits[min(t, 1), :, r, z] for t, r in enumerate(path)])
            one, other = (1 - chance).prod(0)
            neither = (1 - chance).prod(1).prod()
            total[z] += p * (1 - one - other + neither)
    return total


@pytest.mark.parametrize("allowed", [[True, True, True], [False, True, False]])
def test_the_probability_is_that_of_all_paths(allowed) -> None:
    chains = a_sampler().recursion.chains
    hits = np.random.default_rng(0).random((2, 2, 2, 4))
    found = EventConditions.of(chains, hits, np.array(allowed)).probability
    assert found == pytest.approx(slow_probability(chains, hits, np.array(allowed)), rel=1e-5)


EARLY = "day at first event<=5"
"""The last day that the schema allows cuts gaps short, so days begin early here."""
CASES = {
    "a category": ("any(ward)=b",),
    "a missing category": ("any(ward) is missing",),
    "a number": ("any(day since previous event)>=4",),
    "two columns": ("any(ward)=b", "any(day since previous event)<2"),
    "and the person": ("any(ward)=b", "sex=m", "number of events>=2"),
}


def meeting(frame: pd.DataFrame, where: tuple[str, ...]) -> pd.Series:
    """Which persons meet the conditions, computed from their tables."""
    person = frame["person"]
    gap = frame.groupby("person")["day"].diff()
    tests = {
        "any(ward)=b": frame["ward"] == "b",
        "any(ward) is missing": frame["ward"].isna(),
        "any(day since previous event)>=4": gap >= 4,
        "any(day since previous event)<2": gap < 2,
        "sex=m": frame["sex"] == "m",
        "number of events>=2": frame.groupby("person")["day"].transform("size") >= 2,
    }
    whole = pd.DataFrame({name: tests[name].groupby(person).max() for name in where})
    return whole.all(axis=1)


def drawn(sampler: HistorySampler, persons: int, seed: int) -> pd.DataFrame:
    frame, person = sampler.frame(persons, np.random.default_rng(seed))
    return frame.assign(person=person)


@pytest.fixture(scope="module")
def everybody() -> pd.DataFrame:
    return drawn(a_sampler().conditioned(EARLY), 40_000, 0)


@pytest.mark.parametrize("case", CASES)
def test_conditions_on_events_draw_what_is_left_when_others_are_thrown_away(
    case, everybody
) -> None:
    sampler, where = a_sampler(), CASES[case]
    meets = meeting(everybody, where)
    kept = everybody[meets[everybody["person"]].to_numpy()]
    under = sampler.conditioned((*where, EARLY))
    found = drawn(under, 4000, 1)
    assert meeting(found, where).all()
    assert found["person"].nunique() == 4000
    early = sampler.conditioned(EARLY).probability
    assert under.probability / early == pytest.approx(meets.mean(), abs=0.01)
    for name in ("sex", "ward", "day"):
        shares = [t[name].value_counts(normalize=True, dropna=False) for t in (kept, found)]
        assert shares[1].sub(shares[0], fill_value=0).abs().max() < 0.03, name
    sizes = [t.groupby("person").size().value_counts(normalize=True) for t in (kept, found)]
    assert sizes[1].sub(sizes[0], fill_value=0).abs().max() < 0.03


def test_rules_hold_under_conditions_on_events() -> None:
    rule = MissingIf(name="men have no ward", column="ward", when=When(column="sex", values=("m",)))
    fields = {name: getattr(HISTORIES, name) for name in Schema.model_fields}
    found = drawn(
        a_sampler(Schema(**{**fields, "rules": (rule,)})).conditioned("any(ward)=b"), 500, 0
    )
    assert meeting(found, ("any(ward)=b",)).all()
    assert found["person"].nunique() == 500
    assert not (found["sex"] == "m").any()


@pytest.mark.parametrize(
    ("where", "fault"),
    [
        (("ward=b",), r"write any\(ward\)"),
        (("any(sex)=f",), "takes a column of events; expected one of"),
        (("any(ward)=b", "any(ward)=c"), "in two conditions"),
        (("any(ward)=z",), "'z'"),
        (("any(ward)",), "expected a column"),
        (("any(ward)=b", "number of events>3"), "1e-09"),
    ],
)
def test_conditions_that_mean_nothing_are_refused(where, fault) -> None:
    with pytest.raises(InputError, match=fault):
        a_sampler().conditioned(where)


@pytest.mark.parametrize("text", ["ward=b", "ward is missing", "age since previous event>=2"])
def test_the_opposite_allows_all_other_values(text) -> None:
    some = condition_sets([Condition.parse(text, FLAT)], FLAT)
    (place, allowed), layout = next(iter(some.items())), layout_of(HISTORIES)
    other = opposite(allowed, domain_of(layout.columns[place]))
    assert allowed.cells + other.cells == pytest.approx(1)


def test_as_many_conditions_as_the_automaton_allows() -> None:
    schema = history_schema_of()
    where = ("any(ward)=b", "any(day since previous event)<3", "any(age since previous event)<3")
    frame = drawn(a_sampler(schema).conditioned(where), 300, 0)
    assert frame["person"].nunique() == 300
    assert meeting(frame, ("any(ward)=b",)).all()
