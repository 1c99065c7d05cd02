"""A schema in Python: drafted, shown, changed column by column."""

import pandas as pd
import pytest
from small_frames import SMALL, mixed_frame

import fedsynth

pytestmark = pytest.mark.filterwarnings("ignore::fedsynth.notices.FedsynthWarning")


def test_a_schema_is_shown():
    schema = fedsynth.draft(mixed_frame(150), target="outcome", name="clinic")
    for shown in (repr(schema), schema._repr_html_()):
        for part in (
            "clinic",
            "outcome (target)",
            "categorical",
            "died, home",
            "drafted from data",
        ):
            assert part in shown, part
    assert "drafted from data" not in repr(schema.reviewed())


def test_a_draft_takes_what_a_person_knows():
    table = pd.DataFrame({"day": ["01/02/2020", "03/04/2021"] * 60, "ward": [1, 2, 3] * 40})
    table["price"] = [f"{k},50" for k in range(120)]
    for order, pattern in (("dmy", "%d/%m/%Y"), ("mdy", "%m/%d/%Y")):
        schema = fedsynth.draft(table, date_order=order, decimal=",", kinds={"ward": "categorical"})
        assert schema.column("day").kind == "date"
        assert schema.column("price").kind == "numeric"
        assert schema.column("ward").kind == "categorical"
        made = fedsynth.fit(table, schema=schema, sites=1, **SMALL).sample(200, seed=1)
        assert schema.column("day").format == pattern
        assert pd.to_datetime(made["day"], format=pattern).notna().all()
    for wrong, mention in (
        ({"date_order": "ddd"}, "date_order ddd: expected one of"),
        ({"decimal": ";"}, "decimal ';': expected"),
        ({"kinds": ["ward"]}, "kinds: expected a dict"),
        ({"kinds": {"ward": "number"}}, "expected one of 'categorical', 'id', 'text'"),
        ({"kinds": {"nothing": "id"}}, "kinds: the table has no column 'nothing'"),
    ):
        with pytest.raises(fedsynth.InputError, match=mention):
            fedsynth.draft(table, **wrong)


def test_a_schema_is_changed_column_by_column():
    schema = fedsynth.draft(mixed_frame(150), target="outcome")
    wider = schema.with_column("age", minimum=0, maximum=120)
    assert (wider.column("age").maximum, schema.column("age").maximum) == (120, 100)
    ruled = wider.with_rules({"name": "r", "rule": "inequality", "low": "count", "high": "visits"})
    assert ruled.rules[-1].low == "count"
    for change, mention in (
        (lambda: schema.with_column("nothing", maximum=1), "no column 'nothing'"),
        (lambda: schema.with_column("age", maximum=-5), "column 'age'"),
        (lambda: schema.with_column("age", colour=1), "colour"),
        (lambda: schema.with_rules("age"), "rules: expected a dict"),
        (lambda: schema.with_rules({"name": "r", "rule": "odd"}), "rule"),
    ):
        with pytest.raises(fedsynth.InputError, match=mention):
            change()
