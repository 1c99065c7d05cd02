"""What a fuzz test puts into an honest JSON or TOML file to hurt whoever parses it."""

import json
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

DEADLINE = timedelta(
    seconds=60
)  # of one example: only a runaway reaches it, on a busy computer too
FAST = settings(
    max_examples=60, deadline=DEADLINE, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
SLOW = settings(
    max_examples=2_000,
    deadline=DEADLINE,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
BIG = "@@a number of 5000 digits@@"
DEEP = "@@a list in a list in a list@@"
VALUES = st.one_of(
    st.sampled_from([None, True, False, "", "\x1b[2J", "x" * 300_000, "%Y %Y", "%d%m", BIG, DEEP]),
    st.sampled_from([0, -1, 10**9, 2**31, 2**63, 10**60, 1e308, 5e-324, -1e308, 1e9]),
    st.sampled_from(["1e99", "-1e99", "0000-01-01", "9999-12-31", "0000", "P9999999999D"]),
    st.sampled_from([[1] * 200_000, ["a"] * 200_000, [[]], {}, {"a": {"b": {}}}]),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
)


def places(node, way=()):
    """The path of every part of a JSON value."""
    yield way
    inside = (
        node.items()
        if isinstance(node, dict)
        else enumerate(node)
        if isinstance(node, list)
        else ()
    )
    for key, part in inside:
        yield from places(part, (*way, key))


def replaced(node, way, value):
    """A copy of the JSON value with one part replaced."""
    if not way:
        return value
    copy = dict(node) if isinstance(node, dict) else list(node)
    copy[way[0]] = replaced(node[way[0]], way[1:], value)
    return copy


@st.composite
def changed_json(draw, honest: bytes):
    """The bytes of an honest JSON file with up to three parts replaced by something hostile."""
    fields = json.loads(honest)
    for _ in range(draw(st.integers(1, 3))):
        way = draw(st.sampled_from(list(places(fields))))
        fields = replaced(fields, way, draw(VALUES))
    text = json.dumps(fields).replace(json.dumps(BIG), "9" * 5_000)
    return text.replace(json.dumps(DEEP), "[" * 100_000 + "]" * 100_000).encode()


@st.composite
def changed_lines(draw, honest: str):
    """The lines of an honest TOML file, some replaced, repeated or joined by hostile ones."""
    hostile = st.sampled_from(
        [
            "a=" + "[" * 5_000,
            ".".join("a" * 500) + "=1",
            ".".join("a" * 5_000) + "=1",
            "[" + ".".join("a" * 450) + "]",
            "a=" + "9" * 900,
            "b='" + "x" * 200_000 + "'",
            'c="\\u0000"',
            "d=1979-05-27",
        ]
    )
    lines = honest.splitlines()
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(lines)))
        more = draw(st.one_of(hostile, st.text(max_size=30), st.sampled_from(honest.splitlines())))
        lines[place : place + draw(st.integers(0, 1))] = [more] * draw(st.sampled_from([1, 1, 400]))
    return "\n".join(lines)
