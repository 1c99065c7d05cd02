"""margins.parquet: readable cells, honest error bars, sealed by the statement."""

import numpy as np
import pandas as pd
import pytest
from small_study import SCHEMA, make_frames, make_small_plan, run_seeded

import fedsynth
from fedsynth_common.errors import InputError
from fedsynth_common.schema import BooleanColumn, IntegerColumn, Schema
from fedsynth_release.decoding import Codebook
from fedsynth_release.margins import NAMES, REMOVED, margins_of, read_margins, write_margins
from fedsynth_release.verification.verify import verify
from fedsynth_server.aggregation.marginals import MarginalEstimate
from fedsynth_server.study.export import export

TWO = Schema(
    name="two",
    columns=(BooleanColumn(name="a"), IntegerColumn(name="b", minimum=0, maximum=3, nullable=True)),
)
BINS = Codebook(
    (np.array([0, 1]), np.array([0, 0, 0, 1, 2])),
    (np.ones(2), np.array([0.5, 0.25, 0.25, 1.0, 1.0])),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("margins") / "generator"
    plan = make_small_plan("marginals", study="margins")
    export(plan, run_seeded(plan, seed=None), place)  # noise from the operating system
    return place


def test_a_row_a_cell_in_readable_form(tmp_path):
    pair = np.array([[0.1, 0.2, 0.0], [0.3, 0.35, 0.05]])
    found = margins_of(
        TWO,
        BINS,
        [
            MarginalEstimate(columns=(0,), frequencies=pair.sum(axis=1), variance=1e-4),
            MarginalEstimate(columns=(1,), frequencies=pair.sum(axis=0), variance=4e-4),
            MarginalEstimate(
                columns=(0, 1), frequencies=pair, variance=1e-3, unknown=np.full((2, 3), 9e-4)
            ),
        ],
    )
    write_margins(found, tmp_path / "m.parquet")
    read = read_margins(tmp_path / "m.parquet")
    assert tuple(read.columns) == NAMES
    assert len(read) == 2 + 3 + 6
    one, both = read.iloc[2], read.iloc[9]
    assert (one["column_1"], one["value_1"]) == ("b", "0 – 2")
    assert pd.isna(one["column_2"])
    assert (one["share"], one["standard_error"]) == pytest.approx((0.4, 0.02))
    assert tuple(both[list(NAMES[:4])]) == ("a", "true", "b", "3")
    assert (both["share"], both["standard_error"]) == pytest.approx(
        (0.35, np.sqrt(9e-4 + 0.7**2 * 4e-4 + 0.55**2 * 1e-4)), abs=1e-5
    )


@pytest.mark.privacy
def test_error_bars_cover_the_records_and_shares_are_not_theirs(folder):
    """Shares of categories are off the sites' own by noise: not by less, and not by far more."""
    found = read_margins(folder / "margins.parquet")
    real = pd.concat(make_frames().values(), ignore_index=True)
    single = found[found["column_2"].isna()]
    off = []
    for name in ("ward", "outcome"):
        shares = real[name].value_counts(normalize=True)
        rows = single[single["column_1"] == name]
        true = rows["value_1"].map(shares).fillna(0.0)
        off += ((rows["share"] - true) / rows["standard_error"]).tolist()
    assert len(off) >= 5
    assert max(map(abs, off)) < 5
    assert np.count_nonzero(np.abs(off) > 0.01) >= len(off) - 2
    assert {*found["column_1"]} == {column.name for column in SCHEMA.modelled}


def test_a_relation_that_was_taken_for_noise_is_in_the_error():
    """Nothing is left of a pair, and its noise was large: a typical relation may have been there."""
    half, flat = np.array([0.5, 0.5]), np.full((2, 2), 0.25)
    alone = [MarginalEstimate(columns=(k,), frequencies=half, variance=0.0) for k in (0, 1)]
    two = Schema(name="two", columns=(BooleanColumn(name="a"), BooleanColumn(name="b")))
    errors = []
    for noise in (1e-12, 1.0):
        pair = MarginalEstimate(
            columns=(0, 1), frequencies=flat, variance=noise, unknown=np.zeros((2, 2))
        )
        found = margins_of(two, Codebook.identity(two), [*alone, pair])
        errors.append(found["standard_error"].iloc[-1])
    assert errors[0] < 1e-5
    # of V = 0.2 in a 2 x 2 table, each share is 0.25 ± 0.05
    assert errors[1] == pytest.approx(0.05 * np.sqrt(REMOVED), rel=0.02)


@pytest.mark.privacy
def test_error_bars_of_pairs_cover_the_records(folder):
    """Ward and outcome: about 95 % of the true shares lie within 1.96 standard errors."""
    found = read_margins(folder / "margins.parquet")
    real = pd.concat(make_frames().values(), ignore_index=True)
    rows = found[found["column_1"].eq("ward") & found["column_2"].eq("outcome")]
    shares = real.groupby(["ward", "outcome"]).size() / len(real)
    true = [shares.get((a, b)) for a, b in zip(rows["value_1"], rows["value_2"], strict=True)]
    known = [k for k, share in enumerate(true) if share is not None]
    off = [(rows["share"].iloc[k] - true[k]) / rows["standard_error"].iloc[k] for k in known]
    assert len(off) >= 4
    assert np.abs(off).max() < 4
    assert np.abs(off).mean() < 2


def test_it_is_sealed_and_small(folder, tmp_path):
    assert not verify(folder).findings
    assert (folder / "margins.parquet").stat().st_size < 50_000
    result = fedsynth.load(folder)
    pd.testing.assert_frame_equal(result.margins(), read_margins(folder / "margins.parquet"))
    (tmp_path / "g").mkdir()
    for path in folder.iterdir():
        (tmp_path / "g" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "g" / "margins.parquet").write_text("nothing")
    places = {(f.file, f.field) for f in verify(tmp_path / "g").findings}
    assert places >= {("margins.parquet", "SHA-256"), ("margins.parquet", "columns")}
    with pytest.raises(InputError, match="not a Parquet file"):
        read_margins(tmp_path / "g" / "margins.parquet")
    (tmp_path / "g" / "margins.parquet").unlink()
    with pytest.raises(InputError, match="has no margins.parquet"):
        fedsynth.load(tmp_path / "g").margins()
