"""The strongest pairs of a report cell by cell: the right shares under the right labels."""

import numpy as np
import pandas as pd
import pytest
from small_evaluation import make_evaluation

from fedsynth_common.schema import CategoricalColumn, IntegerColumn, Schema
from fedsynth_release.evaluation.discretise import Discretiser
from fedsynth_release.evaluation.joint_shares import LEVELS, PAIRS, joint_shares
from fedsynth_release.report.pairs import pair_views

WARDS = tuple(f"ward {k:02}" for k in range(20))
SCHEMA = Schema(
    name="stays",
    columns=(
        CategoricalColumn(name="ward", categories=WARDS),
        IntegerColumn(name="days", minimum=0, maximum=99),
        IntegerColumn(name="bed", minimum=0, maximum=9),
    ),
)


def table(rows=4000, seed=0):
    rng = np.random.default_rng(seed)
    ward = np.minimum(rng.geometric(0.2, rows) - 1, len(WARDS) - 1)
    days = np.clip(ward * 4 + rng.integers(0, 6, rows), 0, 99)
    frame = pd.DataFrame(
        {"ward": np.array(WARDS)[ward], "days": days, "bed": rng.integers(0, 10, rows)}
    )
    frame.loc[:99, "days"] = np.nan
    return frame.astype({"days": "Int64"})


def made():
    real, other = table(), table(seed=1)
    levels = Discretiser.fit(SCHEMA, real)
    association = np.array([[1, 0.9, 0.1], [0.9, 1, -0.2], [0.1, -0.2, 1]])
    return real, joint_shares(levels, levels.transform(real), levels.transform(other), association)


def test_the_strongest_pairs_come_first_and_their_shares_are_those_of_the_rows():
    real, pairs = made()
    assert [pair.columns for pair in pairs] == [("days", "ward"), ("bed", "days"), ("bed", "ward")]
    assert len(pairs) == PAIRS
    strongest = pairs[0]
    for shares in (strongest.real, strongest.synthetic):
        assert np.sum(shares) == pytest.approx(1.0)
    row, column = strongest.labels[0].index("missing"), strongest.labels[1].index("ward 00")
    exact = (real["days"].isna() & (real["ward"] == "ward 00")).mean()
    assert strongest.real[row][column] == pytest.approx(exact)


def test_rare_levels_stand_together():
    _, pairs = made()
    wards = pairs[0].labels[1]
    assert len(wards) == LEVELS + 1
    assert wards[-1] == "all others"
    assert "all others" not in pairs[0].labels[0]
    assert [label for label in wards[:-1] if label not in WARDS] == []


def test_the_report_shows_real_records_and_generator_on_one_scale():
    evaluation = make_evaluation(SCHEMA)
    pairs = evaluation.fidelity.pairs.model_copy(update={"joint": made()[1]})
    evaluation = evaluation.model_copy(
        update={"fidelity": evaluation.fidelity.model_copy(update={"pairs": pairs})}
    )
    views = pair_views(pairs.names, evaluation, None)[: 2 * PAIRS]
    assert [view.title for view in views[:2]] == [
        "days and ward: real records",
        "days and ward: generator",
    ]
    assert "Rows are days, columns are ward" in views[0].note
    assert all("ward 00: " in view.plot for view in views[:2])
    assert 'class="h9"' in views[0].plot + views[1].plot
