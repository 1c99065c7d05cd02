"""`fedsynth.evaluate`: two tables are enough, and it says what is missing without a third."""

import pandas as pd
import pytest
from small_frames import mixed_frame, visits_frame

import fedsynth
from fedsynth.evaluations import WITHOUT_HOLDOUT

pytestmark = pytest.mark.filterwarnings("ignore::fedsynth.notices.FedsynthWarning")
COLUMNS = ["age", "ward", "smoker", "count", "outcome"]


@pytest.fixture(scope="module")
def judged():
    real, made = (mixed_frame(300, seed)[COLUMNS] for seed in (1, 2))
    return fedsynth.evaluate(made, real, target="outcome", quick=True)


def figure(evaluation, role, name):
    return next(getattr(row, name) for row in evaluation.fidelity.figures if row.role == role)


def test_two_tables_are_enough(judged):
    assert judged.notes[0] == WITHOUT_HOLDOUT
    assert judged.attacks == judged.copies == ()
    assert (judged.sizes.train, judged.sizes.holdout, judged.sizes.synthetic) == (240, 60, 300)
    synthetic, floor = (figure(judged, role, "tvd_2") for role in ("synthetic", "independent"))
    assert synthetic < 0.25
    assert floor > 0.05
    assert judged.target == "outcome"


def test_the_rows_that_stand_in_for_a_hold_out_are_drawn_by_the_seed():
    real, made = (mixed_frame(150, seed)[COLUMNS] for seed in (1, 2))
    first, again, other = (
        fedsynth.evaluate(made, real, quick=True, seed=seed) for seed in (1, 1, 2)
    )
    assert first.fidelity == again.fidelity
    assert first.fidelity != other.fidelity


def test_a_table_that_is_far_off_is_told_apart(judged):
    real = mixed_frame(300, 1)[COLUMNS]
    far = fedsynth.evaluate(real.assign(ward="a", age=20), real, quick=True)
    assert figure(far, "synthetic", "tvd_1") > 3 * figure(judged, "synthetic", "tvd_1")
    assert figure(far, "synthetic", "detection_auc") > 0.9


def test_with_a_hold_out_nothing_is_missing():
    real, held, made = (mixed_frame(120, seed)[COLUMNS] for seed in (1, 2, 3))
    found = fedsynth.evaluate(made, real, holdout=held, quick=True, epsilon=1)
    assert WITHOUT_HOLDOUT not in found.notes
    assert len(found.attacks) == 5
    assert found.copies
    assert found.settings.epsilon == 1


def test_it_is_shown_as_text_and_in_a_notebook(judged):
    for shown in (repr(judged), judged._repr_html_()):
        assert "2-way TVD" in shown
        assert "must not be published" in shown
        assert "no hold-out was given" in shown
    assert "<pre" in judged._repr_html_()
    assert fedsynth.Evaluation.from_json(judged.to_json()) == judged


def test_a_result_judges_its_own_rows(frame, result):
    found = result.evaluate(frame, quick=True)
    assert found.sizes.synthetic == len(frame)
    assert found.settings.epsilon == pytest.approx(result.epsilon)
    page = result.report(evaluation=found)
    assert page.private
    assert "must not be published" in page.html


def test_a_page_with_figures_of_real_records_is_closed_to_others(frame, result, tmp_path):
    found = result.evaluate(frame, quick=True)
    path = result.report(evaluation=found).save(tmp_path / "r.html")
    assert path.stat().st_mode & 0o777 == 0o600


def test_persons_with_histories():
    real, made = visits_frame(200, 1), visits_frame(200, 2)
    keys = {"person_key": "customer", "order": "month"}
    found = fedsynth.evaluate(made, real, quick=True, **keys)
    assert found.histories.persons_holdout == 40
    assert found.histories.persons_synthetic == 200


def test_columns_that_only_one_table_has_are_named():
    real, made = (mixed_frame(150, seed)[COLUMNS] for seed in (1, 2))
    with pytest.warns(
        fedsynth.ColumnWarning, match="only some of the tables have the columns ward"
    ):
        found = fedsynth.evaluate(made.drop(columns="ward"), real, quick=True)
    assert found.sizes.columns == len(COLUMNS) - 1


@pytest.mark.parametrize(
    ("change", "mention"),
    [
        ({"real": mixed_frame(50)}, "real: 50 rows; without a hold-out at least 100 are needed"),
        ({"real": pd.DataFrame({"z": range(200)})}, "no column in common"),
        ({"real": 3}, "real: expected a pandas DataFrame"),
        ({"target": "nothing"}, "target nothing: not a column of all tables"),
        ({"quasi_identifiers": "age"}, "quasi_identifiers: expected a list of names of columns"),
        ({"attacks": 1}, "attacks: expected True or False"),
        ({"schema": {}}, "schema: expected a fedsynth.Schema or the path"),
        ({"delta": "x"}, "delta: expected a number"),
    ],
)
def test_what_cannot_be_judged_gets_a_sentence(change, mention):
    tables = {"synthetic": mixed_frame(120), "real": mixed_frame(120)}
    with pytest.raises(fedsynth.InputError, match=mention):
        fedsynth.evaluate(**(tables | change))
