"""The demonstration table is what its schema and docstring say."""

import numpy as np
import pytest

from fedsynth_common.encoding import encode
from fedsynth_common.errors import InputError
from fedsynth_common.schema import IdColumn, Schema
from fedsynth_common.tables import read_table
from fedsynth_simulations import demo_data

pytest.importorskip("statsmodels", reason="the demonstration table comes with statsmodels")


@pytest.fixture(scope="module")
def table():
    return demo_data.demo_table()


@pytest.fixture(scope="module")
def hospitals():
    return demo_data.demo_hospitals()


def test_rows_people_and_columns(table):
    assert len(table) == 20_190
    assert table["person_id"].nunique() == 5_912
    declared = [column.name for column in demo_data.demo_schema().columns]
    assert list(table.columns) == ["hospital", *declared]


def test_schema_is_declared_complete_and_documented():
    schema = demo_data.demo_schema()
    assert schema.origin == "declared"
    assert schema.target == "admitted"
    assert all(column.description for column in schema.columns)
    assert Schema.from_json(schema.to_json()) == schema


def test_no_cell_needs_repair(hospitals):
    for rows in hospitals.values():
        repairs = encode(rows, demo_data.demo_schema()).repairs
        assert all(counts.total == 0 for counts in repairs.values())


def test_bounds_are_round_and_wider_than_the_rows(table):
    for column in demo_data.demo_schema().modelled:
        if column.kind in ("numeric", "integer") and column.name != "study_year":
            assert column.minimum <= table[column.name].min()
            assert column.maximum >= table[column.name].max()
    assert demo_data.demo_schema().column("doctor_visits").maximum > table["doctor_visits"].max()


def test_values_agree_with_the_published_table(table):
    from statsmodels.api import datasets

    published = datasets.randhie.load_pandas().data
    assert np.array_equal(table["doctor_visits"].astype(int), published["mdvis"])
    assert np.array_equal(table["self_rated_health"] == "good", published["hlthg"] == 1)
    assert np.array_equal(table["self_rated_health"] == "poor", published["hlthp"] == 1)
    assert np.array_equal(table["individual_deductible"] == "yes", published["idp"] == 1)
    limited = table["physical_limitation"]
    assert np.array_equal(limited == "yes", published["physlm"] == 1)
    assert limited.isna().sum() == (~published["physlm"].isin([0, 1])).sum()


def test_four_unequal_hospitals_hold_every_row_once(table, hospitals):
    assert tuple(hospitals) == demo_data.HOSPITALS
    sizes = {name: len(rows) for name, rows in hospitals.items()}
    assert sizes == {
        "dayton": 4462,
        "massachusetts": 5526,
        "seattle": 4036,
        "south-carolina": 6166,
    }
    assert sum(sizes.values()) == len(table)
    assert all("hospital" not in rows for rows in hospitals.values())


def test_nobody_is_in_two_hospitals(hospitals):
    people = [set(rows["person_id"]) for rows in hospitals.values()]
    assert sum(map(len, people)) == len(set.union(*people))


def test_hospitals_differ_in_mix(hospitals):
    visits = [rows["doctor_visits"].mean() for rows in hospitals.values()]
    incomes = [rows["family_income"].mean() for rows in hospitals.values()]
    assert max(visits) / min(visits) > 1.5
    assert max(incomes) / min(incomes) > 1.3


def test_the_same_twice(table):
    assert table.equals(demo_data.demo_table())


def test_person_level_protection_needs_one_line(hospitals):
    text = demo_data.demo_schema().to_json()
    by_person = Schema.from_json(
        text.replace('"person_key": null', '"person_key": "person_id"'), source="edited"
    )
    assert by_person.person_key == "person_id"
    assert isinstance(by_person.column("person_id"), IdColumn)


def test_files_read_back_to_the_same_codes(tmp_path, hospitals):
    paths = demo_data.write_demo(tmp_path / "demo")
    assert [path.name for path in paths] == [f"{name}.csv" for name in hospitals]
    schema = Schema.load(tmp_path / "demo" / "schema.json")
    assert schema == demo_data.demo_schema()
    rows = hospitals["seattle"]
    from_file = encode(read_table(tmp_path / "demo" / "seattle.csv"), schema)
    assert np.array_equal(from_file.codes, encode(rows, schema).codes)


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="cannot be written"):
        demo_data.write_demo(tmp_path / "file" / "demo")


def test_without_statsmodels_the_message_says_what_to_install(monkeypatch):
    def absent(package):
        raise ModuleNotFoundError(package)

    monkeypatch.setattr(demo_data.resources, "files", absent)
    with pytest.raises(InputError, match=r"fedsynth\[demo\]"):
        demo_data.demo_table()


def test_reading_it_does_not_import_the_library():
    import subprocess
    import sys

    code = (
        "import sys; from fedsynth_simulations.demo_data import demo_table; demo_table();"
        "sys.exit('statsmodels.api' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_belongs_to_the_person_never_changes_within_a_person(table):
    schema = demo_data.demo_histories()
    histories = schema.histories
    static = [c.name for c in schema.modelled if c.name not in histories.events]
    by_person = table.groupby("person_id")
    assert (by_person[static].nunique(dropna=False) == 1).all(axis=None)
    assert by_person.size().max() == histories.max_events
    ordered = table.sort_values(["person_id", "study_year"]).groupby("person_id")
    assert (ordered["age"].diff().dropna() >= 0).all()
    gaps = ordered["study_year"].diff().dropna()
    assert gaps.between(1, histories.largest_gap).all()
