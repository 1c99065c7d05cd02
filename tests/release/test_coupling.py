"""Numbers that rise together inside their codes: with conditions, given cells, rules, missing cells."""

import numpy as np
import pandas as pd
import pytest
from exact_network import ExactNetwork
from scipy import stats

from fedsynth_common.encoding.encoder import encode
from fedsynth_common.schema import CategoricalColumn, IntegerColumn, Schema, domains
from fedsynth_common.schema.domain import MISSING
from fedsynth_common.schema.rules import Inequality
from fedsynth_release.decoding import Codebook
from fedsynth_release.sampling.completion import complete_rows
from fedsynth_release.sampling.sampler import Sampler

LATENTS, MOST = 4096, 999
TABLE = Schema(
    name="bills",
    columns=(
        IntegerColumn(name="first", minimum=0, maximum=MOST),
        IntegerColumn(name="second", minimum=0, maximum=MOST, nullable=True),
        IntegerColumn(name="other", minimum=0, maximum=MOST),
        CategoricalColumn(name="kind", categories=("a", "b")),
    ),
)


def real(rows=200_000, seed=0):
    """Two bills of one person, and a number that has nothing to do with them."""
    rng = np.random.default_rng(seed)
    z = rng.multivariate_normal([0, 0], [[1, 0.9], [0.9, 1]], size=rows)
    bills = np.clip(np.exp(z + 3), 0, MOST).astype(int)
    missing = rng.random(rows) < 0.1
    second = pd.array(np.where(missing, 0, bills[:, 1]), dtype="Int64")
    second[missing] = pd.NA
    frame = pd.DataFrame({"first": bills[:, 0], "second": second})
    return frame.assign(other=rng.integers(MOST + 1, size=rows), kind="a")


def codebook_of(frame):
    """Four codes a number, of which the highest holds most of the variance, and shapes as in `frame`."""
    fine = encode(frame, TABLE).codes
    views, shapes = [], []
    for column, domain in zip(fine.T, domains(TABLE), strict=True):
        view = np.arange(domain.width)
        if domain.ordered:
            view = np.searchsorted([10, 20, 40], domain.ticks[:-1], side="right")
            view = np.append(view, [4] * (domain.missing is not None)).astype(int)
        mass = np.bincount(column, minlength=domain.width) + 1e-6
        views.append(view.astype(np.uint16))
        shapes.append(mass / np.bincount(view, weights=mass)[view])
    return Codebook(tuple(views), tuple(shapes)), fine


def made(coupled=True, rules=()):
    frame = real()
    codebook, fine = codebook_of(frame)
    network = ExactNetwork(codebook.apply(fine[:LATENTS]), codebook.widths)
    schema = Schema(name="bills", columns=TABLE.columns, rules=tuple(rules))
    return Sampler.of(network, codebook, schema, coupled=coupled), network, frame


def both(frame):
    return frame[["first", "second"]].dropna().astype(float)


def rank(frame):
    return stats.spearmanr(*both(frame).to_numpy().T).statistic


def test_numbers_that_rise_together_do_so_inside_their_codes():
    sampler, _, truth = made()
    drawn = sampler.frame(40_000, np.random.default_rng(1))
    alone = made(coupled=False)[0].frame(40_000, np.random.default_rng(1))
    assert sampler.coupling.places == (0, 1)
    assert rank(drawn) == pytest.approx(rank(truth), abs=0.02)
    assert rank(alone) < rank(truth) - 0.04
    linear, wanted = both(drawn).corr().iloc[0, 1], both(truth).corr().iloc[0, 1]
    assert linear == pytest.approx(wanted, abs=0.06)
    assert both(alone).corr().iloc[0, 1] < wanted - 0.2


def test_every_column_keeps_its_distribution_and_its_missing_cells():
    drawn = made()[0].frame(40_000, np.random.default_rng(2))
    alone = made(coupled=False)[0].frame(40_000, np.random.default_rng(3))
    for name in ("first", "second", "other"):
        here, there = drawn[name].dropna().astype(int), alone[name].dropna().astype(int)
        assert stats.ks_2samp(here, there).statistic < 0.015
        assert here.mean() == pytest.approx(there.mean(), rel=0.03)
    assert drawn["second"].isna().mean() == pytest.approx(0.1, abs=0.01)


def test_a_record_does_not_depend_on_how_many_are_drawn():
    sampler, rng = made()[0], np.random.default_rng(4)
    one_by_one = pd.concat([sampler.frame(40, rng) for _ in range(300)])
    at_once = sampler.frame(12_000, rng)
    assert rank(one_by_one) == pytest.approx(rank(at_once), abs=0.02)
    for name in ("first", "second"):
        pair = (frame[name].dropna().astype(int) for frame in (one_by_one, at_once))
        assert stats.ks_2samp(*pair).statistic < 0.03


def test_a_condition_inside_a_code_moves_the_other_column():
    sampler, network, truth = made()
    under = sampler.conditioned(network, "first>=100").frame(8000, np.random.default_rng(5))
    assert under["first"].min() >= 100
    alone = made(coupled=False)[0].conditioned(network, "first>=100")
    expected = truth.loc[truth["first"] >= 100, "second"].mean()
    assert under["second"].mean() == pytest.approx(expected, rel=0.25)
    assert alone.frame(8000, np.random.default_rng(5))["second"].mean() < 0.7 * expected
    listed = sampler.conditioned(network, "first in 45,300").frame(500, np.random.default_rng(6))
    assert set(listed["first"]) == {45, 300}


def test_a_given_number_decides_about_the_other():
    rows = pd.DataFrame({"first": [45] * 4000 + [200] * 4000})
    means = {}
    for coupled in (True, False):
        sampler, network, truth = made(coupled)
        done = complete_rows(sampler, network, rows, np.random.default_rng(7))
        assert (done["first"] == rows["first"]).all()
        means[coupled] = done.groupby("first")["second"].mean()
    for value in (45, 200):
        near = truth["first"].between(0.8 * value, 1.25 * value)
        expected = truth.loc[near, "second"].mean()
        assert abs(means[True][value] / expected - 1) < 0.25
        assert abs(means[False][value] / expected - 1) > 0.4


def test_rules_hold_and_the_columns_stay_together():
    rules = [Inequality(name="rising", low="first", high="second")]
    sampler, _, truth = made(rules=rules)
    drawn = both(sampler.frame(20_000, np.random.default_rng(8)))
    assert (drawn["first"] <= drawn["second"]).all()
    kept = both(truth)
    kept = kept[kept["first"] <= kept["second"]]
    assert rank(drawn) == pytest.approx(rank(kept), abs=0.05)


def test_columns_beside_a_redrawn_one_stay_with_it():
    """`other` breaks a rule with `first`, which is redrawn; `second` still goes with it."""
    rules = [Inequality(name="below", low="first", high="other")]
    sampler, _, truth = made(rules=rules)
    drawn = sampler.frame(20_000, np.random.default_rng(9))
    assert (drawn["first"] <= drawn["other"]).all()
    kept = truth[truth["first"] <= truth["other"]]
    assert rank(drawn) == pytest.approx(rank(kept), abs=0.03)


def test_values_are_those_of_the_codes_that_were_drawn():
    sampler, _, _ = made()
    latent = np.arange(LATENTS)
    values = sampler.values(latent, np.random.default_rng(10))
    for j in (0, 1):
        domain, view = domains(TABLE)[j], sampler.codebook.views[j]
        present = values[j] != MISSING
        cells = np.searchsorted(domain.ticks, values[j][present], side="right") - 1
        wanted = np.diff(sampler.tables[j], prepend=0, axis=1).argmax(axis=1)
        assert (view[cells] == wanted[present]).all()
        assert (~present == (wanted == 4)).all()
