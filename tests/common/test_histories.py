"""Schemas of persons with histories: what they may say, and the model columns that follow."""

import hashlib

import pandas as pd
import pytest
from small_histories import COLUMNS, GAP, HISTORIES, L, history_schema_of
from small_site import SCHEMA, Site, make_plan

from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_LAG
from fedsynth_common.protocol.counting import Over, sensitivity
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import (
    CategoricalColumn,
    DateColumn,
    Histories,
    IdColumn,
    Inequality,
    IntegerColumn,
    RangeIf,
    Schema,
    When,
    domain_of,
    history_schema,
    layout_of,
)
from fedsynth_release.schema_files.difference import differences

PLAN = "67d9338052816f42a35f9a9c23399958fb9cfba48c681935bf49e783f87742f0"
TABLE = "78665237d7e9f3603cab14f3af660b10c1dceff613210e43577a37c88d609939"
REQUEST = "638d4c96c3258470b854e4a940d7fc7515cc4593fbdf0def598043aa53ed9be1"


def text_of(message):
    return hashlib.sha256(message).hexdigest()


def test_tables_of_records_keep_their_texts_and_hashes():
    """Taken from the release before histories: sites have approved such digests."""
    assert make_plan().digest == PLAN
    assert text_of(SCHEMA.to_json().encode()) == TABLE
    assert text_of(Site().measure_request().SerializeToString(deterministic=True)) == REQUEST
    assert history_schema(SCHEMA) == SCHEMA


def test_a_schema_with_histories_survives_the_round_trip():
    text = HISTORIES.to_json()
    assert Schema.from_json(text) == HISTORIES
    short = text.replace(f' "rows_per_person": {L},\n', "")
    assert short != text
    assert Schema.from_json(short) == HISTORIES
    assert Schema.from_json(short).rows_per_person == L
    plan = make_plan(table=HISTORIES, discriminator=None)
    assert Plan.from_json(plan.to_json()) == plan


def test_the_model_columns_are_the_persons_then_the_events():
    layout, flat = layout_of(HISTORIES), history_schema(HISTORIES)
    assert flat.modelled == layout.columns
    assert layout.sources == ("sex", "day", None, "age", "day", "age", "ward")
    assert (layout.static, layout.events) == ((0, 1, 2, 3), (4, 5, 6))
    assert (layout.first_order, layout.length, layout.gap) == (1, 2, 4)
    assert layout.grows == ((3, 5),)
    assert layout.since_previous == (4, 5)
    assert (flat.person_key, flat.rows_per_person, flat.histories) == (None, 1, None)
    gap, increase = (domain_of(layout.columns[place]) for place in layout.since_previous)
    assert (gap.ticks[0], gap.ticks[-1] - 1, gap.missing) == (0, GAP, gap.width - 1)
    assert (increase.ticks[0], increase.ticks[-1] - 1, increase.decimals) == (0, 95, 1)
    assert domain_of(layout.columns[layout.length]).width == L


def test_dates_become_gaps_in_their_own_granularity():
    columns = (
        IdColumn(name="id"),
        DateColumn(name="m", minimum="2000-01", maximum="2009-12", granularity="month"),
    )
    histories = Histories(order="m", max_events=4, events=("m",), largest_gap=24)
    schema = Schema(name="t", columns=columns, person_key="id", histories=histories)
    layout = layout_of(schema)
    assert layout.columns[layout.first_order].minimum == "2000-01"
    assert layout.columns[layout.gap].maximum == 24


SOMETIMES = IntegerColumn(name="day", minimum=0, maximum=9, nullable=True)
AGE_IF = RangeIf(
    name="r", when=When(column="ward", values=("a",)), then=When(column="age", maximum=5.0)
)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"order": "dya"}, "'dya'"),
        ({"events": ("age", "ward")}, "list column 'day', the order, among events"),
        ({"events": ("day", "day", "age")}, "listed more than once"),
        ({"events": ("day", "id", "age")}, "column 'id' is not one of the modelled"),
        ({"grows": ("day",)}, "and not among grows"),
        ({"grows": ("sex",)}, "'sex' is not among events"),
        ({"grows": ("ward",)}, "'ward' must be a number, date or duration"),
        ({"order": "ward"}, "'ward' must be a number, date or duration"),
        ({"max_events": 101}, "max_events"),
        ({"largest_gap": 0}, "largest_gap"),
    ],
)
def test_histories_that_do_not_fit_the_columns_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        history_schema_of(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"person_key": None}, "histories need a person_key"),
        ({"rows_per_person": 2}, "rows_per_person must be histories.max_events"),
        ({"rules": (AGE_IF,)}, "rule 'r': column 'age' is restored"),
        ({"rules": (Inequality(name="r", low="day", high="age"),)}, "'r': column 'age' is restored"),
        (
            {"columns": (*COLUMNS, IntegerColumn(name="number of events", minimum=0, maximum=9))},
            "a column is called 'number of events'",
        ),
        (
            {"columns": (*COLUMNS[:2], SOMETIMES, *COLUMNS[3:])},
            "'day' must be a number, date or duration that is never missing",
        ),
    ],
)  # fmt: skip
def test_schemas_that_do_not_fit_their_histories_are_refused(changes, message):
    fields = {
        "name": "t",
        "columns": COLUMNS,
        "person_key": "id",
        "histories": HISTORIES.histories,
    }
    with pytest.raises(ValueError, match=message):
        Schema(**(fields | changes))


def test_rules_within_an_event_and_between_person_and_event_stay():
    rule = RangeIf(
        name="r",
        when=When(column="sex", values=("m",)),
        then=When(column="ward", values=("a", "b")),
    )
    schema = Schema(
        name="t",
        columns=COLUMNS,
        person_key="id",
        histories=HISTORIES.histories,
        rules=(rule,),
    )
    assert history_schema(schema).rules == (rule,)


def test_a_site_column_belongs_to_the_person():
    site = CategoricalColumn(name="site", categories=("n", "s"))
    fields = {"name": "t", "columns": (*COLUMNS, site), "person_key": "id", "site_column": "site"}
    schema = Schema(**fields, histories=HISTORIES.histories)
    assert history_schema(schema).site_column == "site"
    assert schema.without("site").histories == HISTORIES.histories
    with pytest.raises(ValueError, match="'site' is the site_column"):
        Schema(
            **fields,
            histories=history_schema_of().histories.model_copy(
                update={"events": ("day", "age", "ward", "site")}
            ),
        )


def test_a_reviewer_sees_what_differs_in_histories():
    flat = HISTORIES.model_copy(update={"histories": None})
    assert [d.place for d in differences(flat, HISTORIES)] == ["histories"]
    assert [d.place for d in differences(HISTORIES, flat)] == ["histories"]
    other = history_schema_of(max_events=2, largest_gap=9)
    assert [str(d) for d in differences(HISTORIES, other)] == [
        "rows_per_person: 3 -> 2",
        "histories: max_events: 3 -> 2",
        "histories: largest_gap: 5 -> 9",
    ]
    assert differences(HISTORIES, history_schema_of()) == []


def test_sensitivities():
    assert sensitivity(HISTORIES, Over.PERSONS) == 1
    assert sensitivity(HISTORIES, Over.EVENTS) == L
    assert [sensitivity(HISTORIES, Over.NEXT, lag) for lag in (1, 2)] == [L - 1, L - 2]
    assert sensitivity(SCHEMA, Over.RECORDS) == 1
    long = history_schema_of(max_events=50)
    assert sensitivity(long, Over.NEXT, MAX_LAG) == 50 - MAX_LAG
    for over, lag in (
        (Over.RECORDS, 0),
        (Over.NEXT, 0),
        (Over.NEXT, L),
        (Over.EVENTS, 1),
        (Over.PERSONS, 1),
    ):
        with pytest.raises(ValueError, match="has no marginals over"):
            sensitivity(HISTORIES, over, lag)
    with pytest.raises(ValueError, match="has no marginals over"):
        sensitivity(long, Over.NEXT, MAX_LAG + 1)
    with pytest.raises(ValueError, match="has no marginals over PERSONS"):
        sensitivity(SCHEMA, Over.PERSONS)


def table():
    """60 persons of one to three events, but the last, who has nine."""
    sizes = [1 + k % 3 for k in range(59)] + [9]
    rows = [
        {"pid": f"p{k}", "when": 10 * t, "age": 30 + k % 9 + t, "sex": "fm"[k % 2], "ward": "abc"[t % 3]}
        for k, size in enumerate(sizes)
        for t in range(size)
    ]  # fmt: skip
    return pd.DataFrame(rows).sample(frac=1, random_state=0).reset_index(drop=True)


def test_a_draft_tells_persons_from_events(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from fedsynth_release.cli.schema import app

    monkeypatch.chdir(tmp_path)
    table().to_csv("visits.csv", index=False)
    asked = ["draft", "visits.csv", "--person-key", "pid", "--order", "when"]
    drafted = CliRunner().invoke(app, asked, catch_exceptions=False)
    schema = Schema.load("schema.json")
    histories = schema.histories
    assert (schema.person_key, schema.rows_per_person) == ("pid", 3)
    assert (histories.order, histories.events) == ("when", ("when", "age", "ward"))
    assert (histories.max_events, histories.largest_gap, histories.grows) == (3, 10, ("age",))
    cap = "max_events 3 cuts 1 of 60 persons"
    assert cap in drafted.stdout
    checked = CliRunner().invoke(app, ["check", "visits.csv", "--schema", "schema.json"])
    assert checked.exit_code == 0
    assert cap in checked.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--person-key", "pid"], "give both, or neither"),
        (["--person-key", "pid", "--order", "ward"], "'ward': the order of events must be"),
        (["--person-key", "nobody", "--order", "when"], "person key 'nobody' is not a column"),
        (["--person-key", "pid", "--order", "never"], "order 'never' is not a column"),
    ],
)
def test_drafts_of_histories_that_cannot_be(arguments, message, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from fedsynth_release.cli.schema import app

    monkeypatch.chdir(tmp_path)
    table().to_csv("visits.csv", index=False)
    with pytest.raises(InputError, match=message):
        CliRunner().invoke(app, ["draft", "visits.csv", *arguments], catch_exceptions=False)


def test_a_draft_refuses_events_that_have_no_order(tmp_path, monkeypatch):
    from fedsynth_release.drafting.draft import draft_schema
    from fedsynth_release.drafting.histories import with_histories

    frame = table().astype({"when": float})
    frame.loc[3, "when"] = None
    schema = draft_schema(frame, "t", person_key="pid", order="when")
    with pytest.raises(InputError, match="'when': 1 rows say no order of events"):
        with_histories(schema, frame, "pid", "when")
