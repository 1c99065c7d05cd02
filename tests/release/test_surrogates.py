"""Ids and texts are made up from their declaration, unique where declared, in constant memory."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from small_study import make_generator

from fedsynth_common.errors import InputError
from fedsynth_common.schema import BooleanColumn, IdColumn, Schema, TextColumn, Unique
from fedsynth_common.schema.surrogates import Pattern
from fedsynth_release.sampling.surrogate_values import permuted

SCHEMA = Schema(
    name="made up",
    columns=(
        IdColumn(name="record", pattern="R-[0-9]{3}[A-F]", unique=True),
        BooleanColumn(name="smoker"),
        IdColumn(name="person", provider="uuid"),
        TextColumn(name="remark", provider="name"),
        IdColumn(name="row", provider="sequence", unique=True),
        TextColumn(name="mail", provider="email", unique=True),
        TextColumn(name="call", provider="phone"),
        IdColumn(name="hidden"),
        TextColumn(name="letter"),
    ),
    person_key="person",
)


def test_every_declared_column_is_there_in_the_schema_s_order():
    frame = make_generator(SCHEMA).sample(60, seed=1)
    wanted = ["record", "smoker", "person", "remark", "row", "mail", "call"]
    assert frame.columns.tolist() == wanted
    assert frame["row"].tolist() == [str(number) for number in range(1, 61)]
    shapes = {
        "record": r"R-\d{3}[A-F]",
        "person": r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
        "remark": r"[A-Z][a-z]+ [A-Z][a-z]+",
        "mail": r"[a-z]{2}[a-z0-9]{8}@example\.org",
        "call": r"\+999 \d{3} \d{6}",
    }
    for name, shape in shapes.items():
        assert frame[name].str.fullmatch(shape).all(), name


def test_a_unique_column_uses_every_text_once_and_says_when_there_are_too_few():
    generator = make_generator(SCHEMA)
    whole = generator.sample(6000, seed=2)
    assert whole["record"].nunique() == 6000
    assert whole["mail"].nunique() == 6000
    assert not whole["record"].is_monotonic_increasing
    with pytest.raises(InputError, match="'record'.*6000 texts, too few for 6001"):
        generator.sample(6001)


def test_values_stay_unique_over_the_pieces_of_a_long_run(monkeypatch):
    monkeypatch.setattr("fedsynth_release.generator.CHUNK", 700)
    assert make_generator(SCHEMA).sample(5000, seed=3)["record"].is_unique


def test_a_seed_repeats_them_and_no_seed_does_not():
    generator = make_generator(SCHEMA)
    assert generator.sample(9, seed=4).equals(generator.sample(9, seed=4))
    assert not generator.sample(9)["mail"].equals(generator.sample(9)["mail"])


def test_ids_that_are_given_stay():
    generator = make_generator(SCHEMA)
    given_rows = generator.sample(5, seed=5)[["person", "smoker"]]
    completed = generator.complete(given_rows, seed=6)
    assert completed["person"].tolist() == given_rows["person"].tolist()
    assert completed["record"].is_unique


@settings(deadline=None)
@given(st.integers(1, 5000), st.integers(0, 2**32))
def test_the_permutation_hits_every_number_once(size, seed):
    keys = np.random.default_rng(seed).integers(1, 1 << 62, 4, dtype=np.uint64)
    hit = permuted(np.arange(size, dtype=np.uint64), size, keys)
    assert np.array_equal(np.sort(hit), np.arange(size))


def test_a_pattern_beyond_64_bits_is_still_unique():
    column = IdColumn(name="record", pattern="[A-Z0-9]{30}", unique=True)
    schema = Schema(name="s", columns=(column, BooleanColumn(name="b")))
    assert make_generator(schema).sample(4000, seed=1)["record"].is_unique


@settings(deadline=None, max_examples=40)
@given(
    st.from_regex(re.compile(r"([a-z-]|\[[A-C0-9_]{1,3}\](\{[1-4]\})?){1,6}", re.A), fullmatch=True)
)
def test_what_a_pattern_makes_matches_it_as_a_regular_expression(text):
    column = IdColumn(name="record", pattern=text)
    schema = Schema(name="s", columns=(column, BooleanColumn(name="b")))
    made = make_generator(schema).sample(20, seed=1)["record"]
    assert made.str.fullmatch(text).all()


@pytest.mark.parametrize(
    "text", ["", "a*", "(a|b)", "[^a]", "[z-a]", "[a", "a{0}", "a{1,3}", "a{", "a{999}", "\\d", "."]
)
def test_other_regular_expressions_are_refused(text):
    with pytest.raises(ValidationError, match="pattern"):
        IdColumn(name="record", pattern=text)
    with pytest.raises(ValueError, match="pattern"):
        Pattern.parse(text)


def test_unique_needs_something_that_can_be():
    with pytest.raises(ValidationError, match="unique needs a pattern"):
        IdColumn(name="record", unique=True)
    with pytest.raises(ValidationError, match="'name' repeats"):
        TextColumn(name="record", provider="name", unique=True)
    with pytest.raises(ValidationError, match="no id or text with a pattern"):
        Schema(
            name="s",
            columns=(IdColumn(name="record"), BooleanColumn(name="b")),
            rules=(Unique(name="one", column="record"),),
        )
