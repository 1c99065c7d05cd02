"""`fedsynth.fit`: what comes in, what comes out, and what the result says of itself."""

import datetime
import os
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_frames import SMALL, mixed_frame, visits_frame
from small_study import SCHEMA, make_frame

import fedsynth
from fedsynth_release.statement.promises import DRAFTED, REHEARSAL, SEEDED

pytestmark = pytest.mark.filterwarnings("ignore::fedsynth.notices.FedsynthWarning")


def test_a_frame_becomes_rows_of_its_own_types(frame, result):
    rows = result.sample(200, seed=1)
    assert len(rows) == 200
    assert rows.dtypes.to_dict() == frame.dtypes.to_dict() | {"ward": rows["ward"].dtype}
    assert list(rows["ward"].cat.categories) == list(frame["ward"].cat.categories)
    assert rows["grade"].cat.ordered
    for name in ("price", "born", "team"):
        kinds = {type(cell) for cell in rows[name].dropna()}
        assert kinds == {type(frame[name].dropna().iloc[0])}, name
    assert rows["age"].between(0, 100).all()


def test_as_many_rows_as_the_noisy_counts_say(result):
    assert 300 < result.rows < 500
    assert len(result.sample()) == result.rows


def test_the_same_seed_draws_the_same_rows(result):
    pd.testing.assert_frame_equal(result.sample(50, seed=3), result.sample(50, seed=3))
    assert not result.sample(50, seed=3).equals(result.sample(50, seed=4))


def test_conditions_as_texts_and_as_a_dict(frame, result):
    rows = result.sample(60, where={"ward": ["b", "c"], "outcome": "died", "smoker": True})
    assert set(rows["ward"]) <= {"b", "c"}
    assert set(rows["outcome"]) == {"died"}
    assert rows["smoker"].all()
    assert (result.sample(60, where="age>=65")["age"] >= 65).all()
    assert result.sample(60, where={"count": None})["count"].isna().all()
    rows = result.sample(5, where={"flag": False, "stay": pd.Timedelta(days=3)})
    assert not rows["flag"].any()
    assert (rows["stay"] == pd.Timedelta(days=3)).all()
    day = pd.Timestamp("2020-05-01 08:00")
    assert (result.sample(5, where={"admitted": day})["admitted"] == day).all()
    born = datetime.date(1950, 1, 1) + datetime.timedelta(days=400)
    assert (result.sample(5, where={"born": [born]})["born"] == born).all()
    zoned = frame["zoned"].iloc[0]
    assert (result.sample(5, where={"zoned": zoned})["zoned"] == zoned).all()
    both = result.sample(60, where=["age>=40", "age<50"])
    assert both["age"].between(40, 49).all()


def test_given_cells_stay(result):
    given = pd.DataFrame({"age": [20, 90, 33], "ward": ["a", None, "c"]})
    rows = result.sample(given=given, seed=1)
    assert rows["age"].tolist() == [20, 90, 33]
    assert rows["ward"].tolist()[::2] == ["a", "c"]
    assert rows["ward"].notna().all()
    assert rows["age"].dtype == "int8"


def test_sampling_like_another_frame(result):
    like = pd.DataFrame({"age": [1.5], "ward": ["a"]})
    rows = result.sample(10, like=like)
    assert rows["age"].dtype == float
    assert rows["ward"].dtype == "str"


def test_names_of_columns_that_are_no_texts_come_back():
    frame = pd.DataFrame({0: ["a", "b"] * 50, 1: np.arange(100) % 7})
    rows = fedsynth.fit(frame, sites=1, **SMALL).sample(5)
    assert list(rows.columns) == [0, 1]


def test_a_result_tells_what_it_is(result):
    told = repr(result)
    for part in ("private  NO", "drafted from data", f"{result.epsilon:.4f}", ".sample(n)"):
        assert part in told
    assert 4.5 < result.epsilon <= 5
    assert result.delta == 1e-5
    shown = result._repr_html_()
    assert "<table>" in shown
    assert "drafted from data" in shown
    params = result.get_params()
    assert (params["epsilon"], params["target"], params["schema"]) == (5, "outcome", None)


def test_the_training_shows_itself(result, tmp_path):
    for shown in (repr(result.history), result.history._repr_html_()):
        assert "how the training went" in shown
        assert result.history.curves[0].name in shown
        assert "kB sent and received by each site" in shown
    assert fedsynth.load(result.save(tmp_path / "out")).history == result.history


def test_without_the_parts_that_simulate_it_says_what_to_install(monkeypatch, frame):
    from fedsynth import studies

    monkeypatch.setattr(studies, "find_spec", lambda name: None)
    for call in (fedsynth.fit, fedsynth.plan):
        with pytest.raises(fedsynth.InputError, match=r"pip install 'fedsynth\[simulate\]'"):
            call(frame)


def test_nothing_is_written_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    made = fedsynth.fit(mixed_frame(200), **SMALL)
    made.report()
    made.sample(5)
    assert os.listdir() == ["temporary"]
    assert os.listdir("temporary") == []
    assert os.listdir(tmp_path) == ["temporary"]


def test_saved_and_loaded_it_is_the_same(result, tmp_path):
    folder = result.save(tmp_path / "new" / "out")
    assert sorted(path.name for path in folder.iterdir()) == [
        "fedsynth.json",
        "generator",
        "history.json",
        "report.html",
    ]
    again = fedsynth.load(folder)
    pd.testing.assert_frame_equal(again.sample(40, seed=1), result.sample(40, seed=1))
    assert again.get_params() == result.get_params()
    assert (again.schema, again.statement) == (result.schema, result.statement)
    assert len(fedsynth.load(folder / "generator").sample(3)) == 3
    with pytest.raises(fedsynth.InputError, match="is not empty; .* pass force=True"):
        result.save(folder)
    (folder / "mine.txt").write_text("mine")
    result.save(folder, force=True)
    assert (folder / "mine.txt").read_text() == "mine"


def test_a_result_survives_pickle(result):
    again = pickle.loads(pickle.dumps(result))  # noqa: S301 - our own
    pd.testing.assert_frame_equal(again.sample(20, seed=1), result.sample(20, seed=1))


def test_the_report_is_shown_and_saved(result, tmp_path):
    report = result.report()
    assert "<html" in report.html
    shown = report._repr_html_()
    assert shown.startswith("<iframe")
    assert "<html" not in shown  # the page is quoted, so that its styles stay in the frame
    path = report.save(tmp_path / "report.html")
    assert path.read_text() == report.html
    with pytest.raises(fedsynth.InputError, match="exists"):
        report.save(path)


def test_files_are_read_as_tables(frame, tmp_path):
    frame.to_parquet(tmp_path / "t.parquet")
    make_frame(200).to_csv(tmp_path / "t.csv", index=False)
    typed = fedsynth.fit(tmp_path / "t.parquet", **SMALL)
    assert typed.schema.name == "t"
    assert typed.sample(5)["age"].dtype == "int8"
    plain = fedsynth.fit(str(tmp_path / "t.csv"), target="outcome", **SMALL)
    assert plain.sample(5)["age"].dtype == "int64"


def test_a_table_of_each_site():
    hospitals = {"north": mixed_frame(150, 1), "south": mixed_frame(150, 2)}
    made = fedsynth.fit(hospitals, **SMALL)
    assert [cost.site for cost in made.statement.sites] == ["north", "south"]
    with pytest.raises(fedsynth.InputError, match="column 'flag' is at one of the sites"):
        fedsynth.fit(hospitals | {"west": mixed_frame(150).drop(columns="flag")}, **SMALL)


def test_sites_by_a_column(frame):
    made = fedsynth.fit(frame, site_column="ward", **SMALL)
    assert [cost.site for cost in made.statement.sites] == ["a", "b", "c"]
    assert "ward" not in made.sample(3)


def test_histories_with_a_person_key_and_an_order(tmp_path):
    table = visits_frame(200)
    made = fedsynth.fit(table, person_key="customer", order="month", sites=2, **SMALL)
    rows = made.sample(50, seed=1)
    assert rows["customer"].nunique() == 50
    assert len(rows) > 50
    assert rows["late"].dtype == bool
    assert rows.groupby("customer")["month"].apply(lambda m: m.is_monotonic_increasing).all()
    later = made.sample(given=table[table["customer"] == "p0003"], events=1, seed=1)
    assert set(later["customer"]) == {"p0003"}
    assert "persons" in repr(made)
    again = fedsynth.load(made.save(tmp_path / "out"))
    pd.testing.assert_frame_equal(again.sample(9, seed=1), made.sample(9, seed=1))


def test_a_person_key_alone_protects_persons(frame):
    table = visits_frame(150)
    made = fedsynth.fit(table, person_key="customer", sites=2, **SMALL)
    assert made.schema.person_key == "customer"
    assert "late" in made.sample(3)
    assert made.statement.rows_per_person == made.schema.rows_per_person == 5
    with pytest.raises(fedsynth.InputError, match="^order month: .* pass person_key too"):
        fedsynth.fit(table, order="month", **SMALL)


def test_a_secure_sum(frame):
    made = fedsynth.fit(frame, trust="secure-sum", sites=3, epsilon=5, quick=True)
    assert made.statement.epsilon_if_all_others_work_together > made.epsilon
    assert "if all other sites work together" in repr(made)
    with_sites = fedsynth.plan(frame, trust="secure-sum", sites=3, site_marginals=True)
    assert len(with_sites.study.measure) == len(made_steps(frame)) + 1


def made_steps(frame):
    return fedsynth.plan(frame, trust="secure-sum", sites=3).study.measure


# --- what is private, and what says that it is not --------------------------------------------


@pytest.mark.privacy
def test_only_what_took_nothing_from_the_records_is_private():
    """The rules are those of `fedsynth simulate`: PRIVACY.md, claim 17."""
    table = make_frame(240)
    apart = {"north": make_frame(120, 1), "south": make_frame(120, 2)}
    declared = {"schema": SCHEMA, "records_per_site": 100}
    cases = [
        (table, declared | {"sites": 1}, ()),
        (apart, declared, ()),
        (table, declared | {"sites": 2}, (REHEARSAL,)),
        (apart, {"schema": SCHEMA}, (REHEARSAL,)),
        (apart, declared | {"seed": 1}, (SEEDED,)),
        (apart, {"records_per_site": 100}, (DRAFTED,)),
    ]
    for data, options, caveats in cases:
        made = fedsynth.fit(data, **SMALL, **options)
        assert made.caveats == caveats, options
        assert made.private is (not caveats)
        planned = fedsynth.plan(data, **SMALL, **options)
        assert planned.caveats == caveats, options


@pytest.mark.privacy
def test_types_of_a_private_result_do_not_depend_on_cells(tmp_path):
    """A frame holds whole numbers as doubles as soon as one is missing; a result must not show it."""
    whole = make_frame(200).astype({"age": "int16"}).drop(columns="smoker")
    broken = whole.astype({"age": "float32"})
    broken.loc[0, "age"] = np.nan
    columns = tuple(c.model_copy(update={"nullable": c.name == "age"} if c.name == "age" else {})
                    for c in SCHEMA.columns if c.name != "smoker")  # fmt: skip
    schema = fedsynth.Schema.of(SCHEMA.model_copy(update={"columns": columns}))
    types = []
    for table in (whole, broken):
        made = fedsynth.fit(table, schema=schema, records_per_site=100, sites=1, **SMALL)
        assert made.private
        folder = made.save(tmp_path / str(len(types)))
        saved = (folder / "fedsynth.json").read_text()
        types.append((saved, made.sample(50, seed=1).dtypes.astype(str).to_dict()))
    assert types[0] == types[1]
    assert types[0][1]["age"] == "Int64"


@pytest.mark.privacy
def test_a_private_result_saves_no_types_whatever_it_holds(tmp_path):
    from fedsynth.frame_types import FrameTypes

    declared = {"schema": SCHEMA, "records_per_site": 100, "sites": 1}
    made = fedsynth.fit(make_frame(120), **SMALL, **declared)
    held = fedsynth.Result(made.generator, made._files, types=FrameTypes({"age": "float32"}))
    assert held.private
    assert "float32" not in (held.save(tmp_path / "out") / "fedsynth.json").read_text()


@pytest.mark.privacy
def test_saved_types_name_no_category(result, tmp_path):
    text = (result.save(tmp_path / "out") / "fedsynth.json").read_text()
    assert '"category"' in text
    assert "mid" not in text
    assert "blue" not in text


def test_a_schema_may_be_a_path_and_may_have_been_drafted_and_reviewed(frame, tmp_path):
    schema = fedsynth.draft(frame, target="outcome").reviewed()
    schema.save(tmp_path / "schema.json")
    assert fedsynth.Schema.load(tmp_path / "schema.json") == schema
    options = {"records_per_site": 500, "sites": 1, **SMALL}
    for given in (schema, tmp_path / "schema.json", str(tmp_path / "schema.json")):
        assert fedsynth.fit(frame, schema=given, **options).private
    with pytest.raises(fedsynth.InputError, match="^target ward: the schema declares 'outcome'"):
        fedsynth.fit(frame, schema=schema, target="ward", **options)


def test_a_plan_says_what_would_happen(frame):
    plan = fedsynth.plan(frame, target="outcome", epsilon=2)
    assert 1.9 < plan.epsilon <= 2
    assert (plan.variant, plan.private) == ("marginals", False)
    assert plan.seconds > 0
    for part in ("1 histograms", "composed", "method", "drafted from data"):
        assert part in repr(plan), part
    assert "<pre" in plan._repr_html_()


def test_a_plan_from_public_facts_alone(tmp_path):
    plan = fedsynth.plan(schema=SCHEMA, records_per_site=1000, sites=4)
    assert plan.private
    assert len(plan.study.sites) == 4
    assert plan.save(tmp_path / "plan.json").is_file()
    with pytest.raises(fedsynth.InputError, match="both schema and records_per_site"):
        fedsynth.plan(schema=SCHEMA)


def test_a_simulation_of_the_command_line_is_loaded(tmp_path, monkeypatch):
    from command import fedsynth as command

    monkeypatch.chdir(tmp_path)
    make_frame(200).to_csv("t.csv", index=False)
    usual = ("--quick", "--epsilon", "3", "--variant", "marginals", "--out", "out")
    assert command("simulate", "t.csv", *usual).returncode == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(fedsynth.load("out").sample(7)) == 7
    assert Path("out").is_dir()


def test_one_thread_computes_unless_more_are_asked_for(monkeypatch):
    import torch

    from fedsynth.threads import few_threads

    before = torch.get_num_threads()
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    torch.set_num_threads(2)
    try:
        with few_threads():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        monkeypatch.setenv("OMP_NUM_THREADS", "2")
        with few_threads():
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
