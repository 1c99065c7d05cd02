"""Rules about differences and ratios: compiled as declared, true in every row, distributions kept."""

import numpy as np
import pandas as pd
import pytest
from exact_network import ExactNetwork

from fedsynth_common.encoding import encode, rule_violations
from fedsynth_common.schema import (
    CategoricalColumn,
    DateColumn,
    Difference,
    IntegerColumn,
    NumericColumn,
    Ratio,
    Schema,
    When,
    domains,
)
from fedsynth_release.decoding import Codebook
from fedsynth_release.sampling.completion import complete_rows
from fedsynth_release.sampling.sampler import Sampler

COLUMNS = (
    IntegerColumn(name="start", minimum=0, maximum=499, nullable=True),
    NumericColumn(name="end", minimum=0, maximum=600, decimals=1),
    NumericColumn(name="net", minimum=0, maximum=500, decimals=2),
    NumericColumn(name="gross", minimum=0, maximum=700, decimals=2),
    CategoricalColumn(name="kind", categories=("a", "b")),
    DateColumn(name="in", minimum="2020-01-01", maximum="2021-12-31"),
    DateColumn(name="out", minimum="2020-01-01", maximum="2022-12-31"),
)
SAME = When(column="kind", values=("a",))
RULES = (
    Difference(name="length", column="end", minus="start", minimum=0.5, maximum=60),
    Ratio(name="tax", column="gross", of="net", minimum=1.05, maximum=1.3),
    Difference(name="one day", column="out", minus="in", minimum=0, maximum=0, when=SAME),
)


def real(rows=3000, seed=0):
    rng = np.random.default_rng(seed)
    start = rng.integers(0, 500, rows)
    net = rng.uniform(0, 500, rows).round(2)
    kind = rng.choice(["a", "b"], rows)
    come = rng.integers(0, 700, rows)
    stay = np.where(kind == "a", 0, rng.integers(0, 90, rows))
    day = np.datetime64("2020-01-01")
    frame = pd.DataFrame(
        {
            "start": pd.array(start, dtype="Int64"),
            "end": (start + rng.uniform(1, 60, rows)).round(1),
            "net": net,
            "gross": (net * rng.choice([1.07, 1.19], rows)).round(2),
            "kind": kind,
            "in": day + come,
            "out": day + come + stay,
        }
    )
    frame.loc[rng.random(rows) < 0.1, "start"] = pd.NA
    return frame.assign(**{name: frame[name].astype(str) for name in ("in", "out")})


def table(*rules):
    return Schema(name="t", columns=COLUMNS, rules=rules or RULES)


def made(schema):
    fine = encode(real(), schema).codes
    views = [np.arange(d.width) * 40 // d.width for d in domains(schema)]
    views[0][-1] += 1  # missing has a code of its own
    views = [np.unique(view, return_inverse=True)[1].astype(np.uint16) for view in views]
    shapes = [np.ones(len(v)) / np.bincount(v)[v] for v in views]
    codebook = Codebook(tuple(views), tuple(shapes))
    network = ExactNetwork(codebook.apply(fine), codebook.widths)
    return Sampler.of(network, codebook, schema), network


def test_real_rows_keep_them_and_a_broken_row_is_counted():
    frame = real()
    assert rule_violations(frame, table()) == {"length": 0, "tax": 0, "one day": 0}
    frame.loc[0, ["start", "end"]] = [100, 160.1]
    frame.loc[1, ["net", "gross"]] = [100.0, 104.99]
    frame.loc[2, ["kind", "in", "out"]] = ["a", "2020-03-01", "2020-03-02"]
    frame.loc[3, ["kind", "in", "out"]] = ["b", "2020-03-01", "2020-03-02"]
    frame.loc[4, ["start", "end"]] = [pd.NA, 0.0]
    assert rule_violations(frame, table()) == {"length": 1, "tax": 1, "one day": 1}


def test_every_drawn_record_keeps_them():
    schema = table()
    drawn = made(schema)[0].frame(20_000, np.random.default_rng(1))
    assert rule_violations(drawn, schema) == {"length": 0, "tax": 0, "one day": 0}
    length = (drawn["end"] - drawn["start"].astype(float)).dropna()
    assert length.between(0.499, 60.001).all()
    assert length.std() > 10  # and not one value for all
    same = drawn["in"] == drawn["out"]
    assert same[drawn["kind"] == "a"].all()
    assert same[drawn["kind"] == "b"].mean() < 0.3
    assert drawn["start"].isna().mean() == pytest.approx(0.1, abs=0.02)


def test_columns_keep_about_their_distributions():
    truth = real()
    drawn = made(table())[0].frame(20_000, np.random.default_rng(2))
    for name in ("start", "end", "net", "gross"):
        mean, spread = truth[name].astype(float).mean(), truth[name].astype(float).std()
        assert drawn[name].astype(float).mean() == pytest.approx(mean, abs=0.12 * spread)
    assert (drawn["kind"] == "a").mean() == pytest.approx((truth["kind"] == "a").mean(), abs=0.03)


def test_they_hold_under_conditions_and_for_given_cells():
    schema = table()
    sampler, network = made(schema)
    under = sampler.conditioned(network, ["end>=300", "kind=a"])
    drawn = under.frame(3000, np.random.default_rng(3))
    assert rule_violations(drawn, schema) == {"length": 0, "tax": 0, "one day": 0}
    assert drawn["end"].min() >= 300
    given = pd.DataFrame(
        {"start": [10] * 50, "in": ["2020-05-05"] * 50, "out": ["2020-06-05"] * 50}
    )
    done = complete_rows(sampler, network, given, np.random.default_rng(4))
    assert done["end"].between(10.5, 70).all()
    assert (done["kind"] == "b").all()  # a would need equal dates


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Difference(name="r", column="end", minus="kind", minimum=0, maximum=1), "must be numbers"),
        (
            Difference(name="r", column="out", minus="start", minimum=0, maximum=1),
            "must be numbers",
        ),
        (Difference(name="r", column="end", minus="start", minimum=0.01, maximum=0.09), "decimals"),
        (Ratio(name="r", column="out", of="in", minimum=1, maximum=2), "must be numbers"),
        (Ratio(name="r", column="end", of="end", minimum=1, maximum=2), "twice"),
        (
            Difference(
                name="r",
                column="end",
                minus="start",
                minimum=0,
                maximum=1,
                when=When(column="kind", minimum=1),
            ),
            "has no order",
        ),
    ],
)
def test_rules_that_do_not_fit_their_columns_are_refused(rule, message):
    with pytest.raises(ValueError, match=message):
        table(rule)


def test_bounds_must_ascend_and_a_factor_is_not_negative():
    with pytest.raises(ValueError, match="above maximum"):
        Difference(name="r", column="a", minus="b", minimum=2, maximum=1)
    with pytest.raises(ValueError, match="greater than or equal to 0"):
        Ratio(name="r", column="a", of="b", minimum=-1, maximum=1)
    with pytest.raises(ValueError, match="above 0"):
        Ratio(name="r", column="a", of="b", minimum=0, maximum=0)
