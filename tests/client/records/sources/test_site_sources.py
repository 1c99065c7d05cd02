"""`fedsynth site check` over every kind of source that a configuration can name."""

import re
import sqlite3

import pandas as pd
import pytest
from command import fedsynth
from small_site import SCHEMA

from fedsynth_common.schema import CategoricalColumn

CANARY = "ZZCANARY"
ROWS = [("a", "true", "w"), ("b", "false", "x"), ("c", "true", "y")] * 400
NAMES = ["ward", "smoker", "outcome"]


@pytest.fixture
def site(tmp_path):
    frame = pd.DataFrame(ROWS, columns=NAMES)
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_csv(tmp_path / "t2.csv", index=False, sep=";", encoding="utf-16")
    (tmp_path / "t2.toml").write_text('file = "t2.csv"\ndelimiter = ";"\nencoding = "utf-16"\n')
    (tmp_path / "parts").mkdir()
    frame[:700].to_parquet(tmp_path / "parts" / "0.parquet")
    frame[700:].to_parquet(tmp_path / "parts" / "1.parquet")
    with sqlite3.connect(tmp_path / "t.db") as connection:
        frame.to_sql("t", connection, index=False)
    connection.close()
    (tmp_path / "db.toml").write_text(f'url = "sqlite:///{tmp_path}/t.db"\ntable = "t"\n')
    frame.assign(note=CANARY, outcome=["?"] * 300 + ["w"] * 900).to_csv(
        tmp_path / "odd.csv", index=False
    )
    schema = SCHEMA.model_dump(mode="json")
    schema["columns"][2] |= {"other": True}
    SCHEMA.model_validate(schema, strict=False).save(tmp_path / "schema.json")
    options = [f"--data={tmp_path}/t.csv", f"--schema={tmp_path}/schema.json", "--dataset=people"]
    assert fedsynth("site", "init", tmp_path / "s", *options).returncode == 0
    return tmp_path


def check(site, data, **lines):
    config = site / "s" / "site.toml"
    text = config.read_text()
    changed = re.sub(r'^data = ".*"$', f'data = "{site}/{data}"', text, flags=re.MULTILINE)
    config.write_text(changed + "".join(f"\n{key} = {value}" for key, value in lines.items()))
    try:
        return fedsynth("site", "check", "--config", config)
    finally:
        config.write_text(text)


def digest(ended):
    assert ended.returncode == 0, ended.stderr
    return re.search(r"SHA-256 ([0-9a-f]{64})", ended.stdout).group(1)


def test_every_source_of_a_table_is_the_same_table(site):
    pytest.importorskip("sqlalchemy", reason="the extra fedsynth-client[sql]")
    sources = ("t.csv", "t2.toml", "parts", "db.toml")
    assert len({digest(check(site, source)) for source in sources}) == 1


def test_every_source_is_filled_with_the_sites_name_alike(site):
    pytest.importorskip("sqlalchemy", reason="the extra fedsynth-client[sql]")
    named = CategoricalColumn(name="hospital", categories=("north", "south"), other=False)
    schema = SCHEMA.model_copy(update={"columns": (named, *SCHEMA.columns)})
    schema.model_copy(update={"site_column": "hospital"}).save(site / "schema.json")
    pd.read_csv(site / "t.csv", dtype=str).assign(hospital="south").to_csv(
        site / "held.csv", index=False
    )
    ended = check(site, "t.csv")
    assert "state this site's name in the policy" in ended.stderr
    policy = site / "s" / "policy.toml"
    text = policy.read_text()
    policy.write_text(text + 'site = "west"\n')
    ended = check(site, "t.csv")
    assert ended.returncode == 1
    assert "the policy's site, 'west', is not one of its categories" in ended.stderr
    policy.write_text(text + 'site = "south"\n')
    sources = ("t.csv", "t2.toml", "parts", "db.toml", "held.csv")
    assert len({digest(check(site, source)) for source in sources}) == 1
    assert "filled with this site's name, 'south'" in check(site, "db.toml").stdout


def test_columns_to_ignore_and_repairs_to_allow(site):
    ended = check(site, "odd.csv")
    assert ended.returncode == 1
    assert "columns number 4" in ended.stderr
    ended = check(site, "odd.csv", ignored='["note"]')
    assert ended.returncode == 1
    assert "column 'outcome': 25% of its cells do not fit the schema" in ended.stderr
    assert CANARY not in ended.stdout + ended.stderr
    digest(check(site, "odd.csv", ignored='["note"]', max_repaired=0.25))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('file = "none.csv"', "none.csv: no such file"),
        ('fiel = "t.csv"', "description of a source"),
        ('url = "sqlite:////none/x.db"\ntable = "t"', "OperationalError"),
    ],
)
def test_faulty_descriptions_end_in_one_line(site, content, said):
    (site / "bad.toml").write_text(content)
    ended = check(site, "bad.toml")
    assert ended.returncode == 2
    assert said in ended.stderr
    assert ended.stderr.count("\n") == 1
