"""Files that somebody else wrote are parsed in bounded time and memory, whatever is in them.

A plan, a schema and a receipt are changed at random places into what is huge, deep, long or of
another kind. Whoever reads them gets the object or one `InputError` of a few lines, soon; what is
accepted can be priced and described soon, too.
"""

import json
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hostile import FAST, changed_json
from hypothesis import given
from small_study import make_small_plan

from fedsynth_client.budget.receipts import receipt_json
from fedsynth_client.plans.resources import resources
from fedsynth_common.errors import InputError
from fedsynth_common.limits import (
    LARGEST_REQUEST_BYTES,
    MAX_CELLS,
    MAX_MESSAGE_BYTES,
    MAX_PARAMETERS,
    MAX_PLAN_BYTES,
    MAX_RECEIPT_BYTES,
    MAX_SCHEMA_BYTES,
    printable,
    read_limited,
    within_lines,
)
from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.privacy.events import MAX_MECHANISMS, CountsEvent
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    DateColumn,
    DatetimeColumn,
    DurationColumn,
    FixedCombinations,
    IdColumn,
    Inequality,
    IntegerColumn,
    MissingIf,
    NumericColumn,
    RangeIf,
    Schema,
    TextColumn,
    When,
    domains,
)
from fedsynth_release.statement.costs import SiteCost
from fedsynth_release.statement.receipt_evidence import evidence_of

SCHEMA = Schema(
    name="everything",
    columns=(
        IdColumn(name="person", pattern="H-[0-9]{6}", unique=True),
        TextColumn(name="note"),
        IntegerColumn(name="age", minimum=0, maximum=120, atoms=(0,), nullable=True),
        NumericColumn(name="dose", minimum=-5.0, maximum=9.5, decimals=1, scale="log"),
        DateColumn(name="in", minimum="2015-01-01", maximum="2024-12-31", format="%d.%m.%Y"),
        DateColumn(name="out", minimum="2015-01-01", maximum="2024-12-31", nullable=True),
        DatetimeColumn(name="seen", minimum="2015-01-01T00:00", maximum="2024-12-31T23:59"),
        DurationColumn(name="stay", maximum=400),
        CategoricalColumn(name="ward", categories=("a", "b", "c"), parents=("x", "x", "y")),
        BooleanColumn(name="smoker", nullable=True),
    ),
    target="ward",
    person_key="person",
    rows_per_person=4,
    rules=(
        Inequality(name="order", low="in", high="out"),
        RangeIf(
            name="dose", when=When(column="age", maximum=17), then=When(column="dose", maximum=2.5)
        ),
        MissingIf(name="gone", when=When(column="ward", values=("a",)), column="smoker"),
        FixedCombinations(
            name="pairs", columns=("ward", "smoker"), combinations=(("a", None), ("b", "true"))
        ),
    ),
)
PLAN = make_small_plan("both").model_copy(update={"table": SCHEMA})
KEY = Ed25519PrivateKey.generate()
RECEIPT = receipt_json(
    study=PLAN.study,
    plan_digest=PLAN.digest,
    dataset="people",
    events=[CountsEvent(scale=40.0, sensitivity=4, blocks=10), *PLAN.planned_events()[2:]],
    head="0" * 64,
    seeded=False,
)


MOST_TOLD = 4_200  # characters: eight lines of at most 501, the file, and how many more there are


def parse_plan(data):
    """A plan as a steward and a vault treat it: read, describe, price."""
    try:
        plan = Plan.from_json(data)
    except InputError as error:
        assert len(str(error)) < MOST_TOLD
        assert str(error).isprintable()
        return
    assert len(plan.to_json()) <= 6 * MAX_PLAN_BYTES
    assert resources(plan)
    try:
        epsilon(plan.planned_events(), plan.delta)
    except PrivacyError as error:
        assert len(str(error)) < 600


def parse_schema(data):
    try:
        schema = Schema.from_json(data.decode())
    except InputError as error:
        assert len(str(error)) < MOST_TOLD
        return
    assert domains(schema)
    assert Schema.from_json(schema.to_json()) == schema


def signed(body):
    fields = {
        "receipt": body,
        "signature": KEY.sign(body),
        "receipt_key": KEY.public_key().public_bytes_raw(),
    }
    cost = SiteCost.from_events("north", [], PLAN.delta)
    return cost.model_copy(update={name: data.hex() for name, data in fields.items()})


def parse_receipt(body):
    evidence = evidence_of(signed(body), PLAN)
    assert all(len(problem) < 1_000 for _, problem in evidence.faults)


KINDS = {
    "plan": (PLAN.to_json(), parse_plan),
    "schema": (SCHEMA.to_json().encode(), parse_schema),
    "receipt": (RECEIPT, parse_receipt),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_honest_file_is_accepted(kind):
    honest, parse = KINDS[kind]
    parse(honest)
    if kind == "receipt":
        assert evidence_of(signed(honest), PLAN).faults == ()


@FAST
@given(changed_json(PLAN.to_json()))
def test_a_plan_of_any_content(data):
    parse_plan(data)


@FAST
@given(changed_json(SCHEMA.to_json().encode()))
def test_a_schema_of_any_content(data):
    parse_schema(data)


@FAST
@given(changed_json(RECEIPT))
def test_a_receipt_of_any_content(body):
    parse_receipt(body)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_any_content_under_a_limit_of_memory(kind):
    """Thousands of examples in a process that may take 4 GiB of addresses and two minutes of a core."""
    code = (
        "import sys; sys.path[:0] = ['tests', 'tests/release']\n"
        "import resource, hostile, test_foreign_files as t\n"
        "resource.setrlimit(resource.RLIMIT_AS, (4 << 30,) * 2)\n"
        f"honest, parse = t.KINDS[{kind!r}]\n"
        "hostile.SLOW(t.given(t.changed_json(honest))(lambda data: parse(data)))()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr[-3_000:]


def with_field(way, value):
    fields = json.loads(PLAN.to_json())
    place = fields
    for part in way[:-1]:
        place = place[part]
    place[way[-1]] = value
    return json.dumps(fields)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("messages", 10**9),
        ("messages", 10_001),
        ("steps_per_message", 10**6),
        ("hidden", [1] * 200_000),
        ("hidden", [10**7]),
        ("hidden", [3_000, 3_000]),
        ("first_step", 2**40),
        ("expected_batch", 10**400),
        ("clipping_norm", 1e300),
        ("noise_multiplier", 1e300),
        ("sampling_rate", 1e-300),
        ("learning_rate", 1e300),
    ],
)
def test_a_plan_beyond_its_bounds_is_refused(field, value):
    with pytest.raises(InputError, match=rf"discriminator(\.{field})?"):
        Plan.from_json(with_field(("discriminator", field), value))


def test_the_largest_plan_is_priced():
    training = {"messages": 10_000, "steps_per_message": 100, "sampling_rate": 1e-4}
    plan = PLAN.model_copy(update={"discriminator": PLAN.discriminator.model_copy(update=training)})
    again = Plan.from_json(plan.to_json())
    assert again.discriminator.steps[-1] == 2 + 10_000
    assert sum(getattr(event, "steps", 0) for event in again.planned_events()) == 10**6
    assert epsilon(again.planned_events(), 1e-5) > 0


@pytest.mark.parametrize(
    "written", ["%Y %Y", "%Y-%m-%d %Y", "%", "%d" * 50, "%Y-%m-%d\0", "\ud800"]
)
def test_a_date_format_that_is_none_is_a_fault_of_the_schema(written):
    fields = json.loads(SCHEMA.to_json())
    fields["columns"][4]["format"] = written
    with pytest.raises(InputError, match=r"column 'in'|not JSON|surrogate|JSON"):
        Schema.from_json(json.dumps(fields))


@pytest.mark.parametrize("bounds", [{"minimum": 1e99}, {"maximum": -1e99}])
def test_a_bound_of_a_rule_far_beyond_the_column_is_a_fault_of_the_schema(bounds):
    fields = json.loads(SCHEMA.to_json())
    [rule] = [rule for rule in fields["rules"] if rule["name"] == "dose"]
    rule["when"] |= {"minimum": None, "maximum": None} | bounds
    with pytest.raises(InputError, match="between these bounds"):
        Schema.from_json(json.dumps(fields))


def test_thousands_of_faults_are_told_in_a_few_lines():
    fields = json.loads(SCHEMA.to_json())
    fields["columns"] = [{"name": f"c{k}" * 30, "kind": "integer"} for k in range(2_000)]
    with pytest.raises(InputError, match="more faults") as caught:
        Schema.from_json(json.dumps(fields))
    assert len(str(caught.value).splitlines()) == 9
    assert len(str(caught.value)) < MOST_TOLD


def test_long_names_are_cut_where_a_plans_faults_are_told():
    fields = json.loads(PLAN.to_json())
    fields |= {f"{k}" * 10_000: k for k in range(100)}
    with pytest.raises(InputError, match="and 92 more faults$") as caught:
        Plan.from_json(json.dumps(fields))
    assert len(str(caught.value)) < MOST_TOLD


def test_nothing_is_read_beyond_its_limit(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 11)
    assert read_limited(path, 11) == b"x" * 11
    with pytest.raises(InputError, match="longer than the 10 bytes"):
        read_limited(path, 10)
    endless = tmp_path / "endless"
    endless.symlink_to("/dev/zero")
    with pytest.raises(InputError, match="longer"):
        Schema.load(endless)
    for parse, most in ((Plan.from_json, MAX_PLAN_BYTES), (Schema.from_json, MAX_SCHEMA_BYTES)):
        with pytest.raises(InputError, match="longer than"):
            parse(" " * (most + 1))


def test_a_key_of_very_many_parts_is_refused_before_it_is_parsed():
    with pytest.raises(InputError, match="a line is longer"):
        within_lines(b"a\n" + b".".join([b"a"] * 600) + b"=1", "study.toml")


def test_more_mechanisms_than_a_plan_allows_are_not_priced():
    events = [
        {"kind": "counts", "scale": 1e5 - k, "sensitivity": 1, "blocks": 1}
        for k in range(MAX_MECHANISMS + 1)
    ]
    with pytest.raises(PrivacyError, match="different mechanisms"):
        SiteCost.from_events("north", events, 1e-5)


def test_replies_of_the_largest_requests_can_be_delivered():
    counts = pb.MeasureReply(status="OK", counts=bytes(4 * MAX_CELLS))
    assert counts.ByteSize() < MAX_MESSAGE_BYTES
    trained = pb.DiscriminateReply(
        status="OK", weights=bytes(4 * MAX_PARAMETERS), moments=bytes(8 * MAX_PARAMETERS)
    )
    assert trained.ByteSize() < MAX_MESSAGE_BYTES
    assert MAX_RECEIPT_BYTES < MAX_MESSAGE_BYTES < LARGEST_REQUEST_BYTES


def test_foreign_text_is_short_and_harmless_on_a_terminal():
    assert printable("a\x1b]0;b\x07" + "c" * 1_000).startswith("a?]0;b?ccc")
    assert len(printable("c" * 1_000)) == 501
