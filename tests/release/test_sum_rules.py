"""A total and its parts: true in every row, also under conditions, for given cells and missing ones."""

import numpy as np
import pandas as pd
import pytest
from exact_network import ExactNetwork

from fedsynth_common.encoding import encode, rule_violations
from fedsynth_common.schema import (
    CategoricalColumn,
    IntegerColumn,
    NumericColumn,
    Schema,
    Sum,
    domains,
)
from fedsynth_release.decoding import Codebook
from fedsynth_release.sampling.completion import complete_rows
from fedsynth_release.sampling.sampler import Sampler

COLUMNS = (
    NumericColumn(name="total", minimum=0, maximum=260, decimals=1),
    IntegerColumn(name="drugs", minimum=0, maximum=99, atoms=(0,)),
    NumericColumn(name="stay", minimum=0, maximum=150, decimals=1, nullable=True),
)
RULE = Sum(name="costs", total="total", parts=("drugs", "stay"))
TABLE = Schema(name="t", columns=COLUMNS, rules=(RULE,))


def real(rows=3000, seed=0):
    rng = np.random.default_rng(seed)
    drugs = rng.integers(0, 100, rows) * (rng.random(rows) < 0.7)
    stay = np.round(0.5 * drugs + rng.uniform(0, 100, rows), 1)
    frame = pd.DataFrame({"total": np.round(drugs + stay, 1), "drugs": drugs, "stay": stay})
    frame.loc[rng.random(rows) < 0.1, "stay"] = np.nan
    return frame


def made():
    fine = encode(real(), TABLE).codes
    views = [np.arange(d.width) * 12 // d.width for d in domains(TABLE)]
    views[2][-1] += 1  # missing has a code of its own
    shapes = []
    for view, column in zip(views, fine.T, strict=True):
        mass = np.bincount(column, minlength=len(view)) + 1e-6
        shapes.append(mass / np.bincount(view, weights=mass)[view])
    codebook = Codebook(tuple(view.astype(np.uint16) for view in views), tuple(shapes))
    network = ExactNetwork(codebook.apply(fine), codebook.widths)
    return Sampler.of(network, codebook, TABLE), network


def test_real_rows_keep_it_and_broken_ones_are_counted():
    frame = real()
    assert rule_violations(frame, TABLE) == {"costs": 0}
    frame.loc[frame["stay"].notna().idxmax(), "total"] += 0.1
    assert rule_violations(frame, TABLE) == {"costs": 1}


def test_every_drawn_row_keeps_it_and_the_parts_keep_their_distributions():
    truth, drawn = real(), made()[0].frame(20_000, np.random.default_rng(1))
    assert rule_violations(drawn, TABLE) == {"costs": 0}
    whole = drawn.dropna()
    assert (whole["total"] - whole["drugs"] - whole["stay"]).abs().max() < 1e-6
    for name in ("drugs", "stay", "total"):
        spread = truth[name].std()
        assert drawn[name].mean() == pytest.approx(truth[name].mean(), abs=0.06 * spread)
        assert drawn[name].std() == pytest.approx(spread, rel=0.08)
    assert drawn["stay"].isna().mean() == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("where", ["total>=150", "total in 80,90.5", "drugs=0", "stay<20"])
def test_it_holds_under_conditions(where):
    sampler, network = made()
    drawn = sampler.conditioned(network, where).frame(2000, np.random.default_rng(2))
    assert rule_violations(drawn, TABLE) == {"costs": 0}
    if where == "total>=150":
        assert drawn["total"].min() >= 150
    if where == "total in 80,90.5":
        assert set(drawn["total"]) == {80.0, 90.5}


def test_given_totals_and_parts_stay():
    sampler, network = made()
    given = pd.DataFrame({"total": [120.5, None, 60.0] * 50, "drugs": [None, 30, 20] * 50})
    done = complete_rows(sampler, network, given, np.random.default_rng(3))
    assert rule_violations(done, TABLE) == {"costs": 0}
    assert (done["total"][::3] == 120.5).all()
    assert (done["drugs"][1::3] == 30).all()
    assert done["stay"][2::3].dropna().eq(40.0).all()


def test_columns_that_are_no_amounts_are_refused():
    kind = CategoricalColumn(name="kind", categories=("a", "b"))
    rule = Sum(name="r", total="total", parts=("drugs", "kind"))
    with pytest.raises(ValueError, match="must be numbers"):
        Schema(name="t", columns=(*COLUMNS, kind), rules=(rule,))
