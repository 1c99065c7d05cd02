"""Given histories and their next events: the posterior against every path, and what a user gets."""

import itertools

import numpy as np
import pandas as pd
import pytest
from small_histories import GAP, HISTORIES, L
from small_sampler import a_sampler

from fedsynth_common.errors import InputError
from fedsynth_release.histories.continuation import Continuation, continued
from fedsynth_release.histories.expected import Emitted
from fedsynth_release.histories.given_histories import read_histories

GIVEN = pd.DataFrame(
    {
        "id": ["b", "a", "b"],
        "sex": ["f", None, "f"],
        "day": [4, 7, 1],
        "age": [2.5, 1.0, 2.0],
        "ward": ["b", "a", None],
    }
)


def test_given_events_become_codes_of_persons_and_changes() -> None:
    sampler = a_sampler()
    given = read_histories(GIVEN, HISTORIES, sampler.events.codebook, most=L)
    assert given.keys.tolist() == ["b", "a"]
    assert given.person.tolist() == [0, 0, 1]
    names = [column.name for column in sampler.layout.columns]
    codes = pd.DataFrame(given.codes, columns=names)
    assert codes["sex"].tolist() == [0, 0, -1]  # an empty cell is not known
    assert codes["day at first event"].tolist() == [1, 1, 7]
    assert codes["number of events"].tolist() == [-1, -1, -1]
    assert codes["ward"].tolist() == [-1, 1, 0]
    absent = sampler.recursion.shape.absent_codes[0]
    assert codes["day since previous event"].tolist() == [absent, 3, absent]
    assert codes["age since previous event"].tolist()[1] == 5
    assert {names[k]: v.tolist() for k, v in given.last.items()} == {
        "day at first event": [4, 7],
        "age at first event": [25, 10],
    }


def test_of_many_events_the_last_ones_count() -> None:
    long = pd.DataFrame({"id": "a", "day": range(9), "age": 1.0})
    given = read_histories(long, HISTORIES, a_sampler().events.codebook, most=2)
    assert len(given.person) == 2
    assert given.values[1].tolist() == [7, 7]


def test_the_posterior_is_that_of_all_paths() -> None:
    sampler = a_sampler()
    given = read_histories(GIVEN, HISTORIES, sampler.events.codebook, most=L)
    model, recursion = Continuation.of(sampler), sampler.recursion
    chains, shape = recursion.chains, recursion.shape
    first = Emitted(chains.emissions, shape).at_first().numpy()
    later = chains.emissions.numpy()
    layout = sampler.layout
    starts = np.cumsum([0, *shape.static]), np.cumsum([0, *shape.events])
    places = [
        np.where(codes >= 0, codes + start[:-1], start[-1])
        for codes, start in zip(
            (given.codes[given.first][:, list(layout.static)], given.codes[:, list(layout.events)]),
            starts,
            strict=True,
        )
    ]
    found = model.posterior(places[0], places[1], given.person)
    for person, rows in enumerate(([0, 1], [2])):
        slow = np.zeros(found[person].shape)
        for z in range(shape.latents):
            of_person = np.prod(
                [float(chains.static[s, z]) for s in places[0][person] if s < starts[0][-1]]
            )
            for path in itertools.product(range(shape.regimes), repeat=len(rows)):
                p = of_person * float(chains.initial[path[0], z])
                for t, row in enumerate(rows):
                    emitted = first if t == 0 else later
                    for code in places[1][row]:
                        p *= float(emitted[code, path[t], z]) if code < starts[1][-1] else 1.0
                    if t:
                        r, s = path[t - 1], path[t]
                        p *= float((1 - chains.stop[t - 1, r, z]) * chains.moves[r, s, z])
                slow[path[-1], z] += p
        assert found[person] / found[person].sum() == pytest.approx(slow / slow.sum(), rel=1e-4)


def test_next_events_follow_the_given_ones() -> None:
    many = pd.concat([GIVEN.assign(id=GIVEN["id"] + str(k)) for k in range(300)])
    after = continued(a_sampler(), many, 1, np.random.default_rng(0))
    assert list(after.columns) == ["id", "sex", "day", "age", "ward"]
    assert after["id"].nunique() == len(after) == 600
    women = after[after["id"].str.startswith("b")]
    assert (women["sex"] == "f").all()
    assert women["day"].between(4, 4 + GAP).all()
    assert (women["age"] >= 2.5).all()
    assert women["day"].nunique() > 3
    two = continued(a_sampler(), GIVEN, 2, np.random.default_rng(0))
    assert two["id"].tolist() == ["b", "b", "a", "a"]
    assert (two.groupby("id")["day"].diff().dropna() >= 0).all()


def test_next_events_have_the_distribution_of_histories_that_begin_so() -> None:
    """Against persons of the generator whose first event is the given one, and who have another."""
    sampler = a_sampler()
    begin = sampler.conditioned(("number of events>=2", "day at first event=3"))
    drawn, person = begin.frame(20_000, np.random.default_rng(1))
    drawn["person"] = person
    number = drawn.groupby("person").cumcount()
    one = drawn[number == 0].set_index("person")
    two = drawn[number == 1].set_index("person")
    like = one.index[one["ward"] == one["ward"].mode()[0]]
    # the age has to be given, so it is that of the others
    ages = one["age"][like].to_numpy()
    given = pd.DataFrame(
        {"id": range(len(like)), "day": 3, "age": ages, "ward": one["ward"].mode()[0]}
    )
    found = continued(sampler, given, 1, np.random.default_rng(2))
    shares = [
        t.value_counts(normalize=True, dropna=False) for t in (two["ward"][like], found["ward"])
    ]
    assert len(like) > 2000
    assert shares[1].sub(shares[0], fill_value=0).abs().max() < 0.04


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda t: t.drop(columns="id"), "no column 'id'"),
        (lambda t: t.assign(id=["b", None, "b"]), "name no person"),
        (lambda t: t.assign(day=[4, None, 1]), "column 'day'.*empty in 1 given row"),
        (lambda t: t.drop(columns="age"), "column 'age'"),
        (lambda t: t.assign(sex=["f", "f", "m"]), "column 'sex'.*differs"),
        (lambda t: t.assign(ward=["z", "a", "a"]), "column 'ward'"),
        (lambda t: t.iloc[:0], "no events"),
    ],
)
def test_given_histories_that_do_not_fit_are_refused(change, fault) -> None:
    with pytest.raises(InputError, match=fault):
        continued(a_sampler(), change(GIVEN), 1, np.random.default_rng(0))


@pytest.mark.parametrize("more", [0, L])
def test_more_events_than_fit_are_refused(more) -> None:
    with pytest.raises(InputError, match="expected 1 to 2"):
        continued(a_sampler(), GIVEN, more, np.random.default_rng(0))
