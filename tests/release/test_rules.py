"""Rules between columns: checked when declared, counted in tables, and true in every drawn record."""

import time
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from small_study import make_statement

from fedsynth_common.encoding import encode, rule_violations
from fedsynth_common.errors import InputError
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    DateColumn,
    FixedCombinations,
    IdColumn,
    Inequality,
    IntegerColumn,
    MissingIf,
    NumericColumn,
    OneHot,
    RangeIf,
    Schema,
    Unique,
    When,
    domains,
)
from fedsynth_release.decoding import Codebook
from fedsynth_release.generator import Generator
from fedsynth_release.generator_network import GeneratorNetwork, GeneratorShape
from fedsynth_release.sampling.sampler import Sampler

COLUMNS = (
    IdColumn(name="record", pattern="[0-9]{7}", unique=True),
    DateColumn(name="birth", minimum="1920-01-01", maximum="2019-12-31"),
    DateColumn(name="in", minimum="2015-01-01", maximum="2019-12-31", nullable=True),
    DateColumn(name="out", minimum="2015-01-01", maximum="2019-12-31", format="%d.%m.%Y"),
    CategoricalColumn(name="sex", categories=("F", "M"), other=False),
    BooleanColumn(name="pregnant", nullable=True),
    IntegerColumn(name="age", minimum=0, maximum=900),
    NumericColumn(name="dose", minimum=0.0, maximum=500.0, decimals=1, atoms=(0.0,), nullable=True),
    CategoricalColumn(name="level", categories=("low", "mid", "high"), other=False, ordered=True),
    CategoricalColumn(name="most", categories=("low", "mid", "high"), other=False, ordered=True),
    CategoricalColumn(name="school", categories=tuple("abcdef"), nullable=True),
    IntegerColumn(name="years", minimum=0, maximum=9),
    BooleanColumn(name="red"),
    BooleanColumn(name="green"),
    BooleanColumn(name="blue"),
)
SCHOOL = (*((c, str(y)) for c, y in zip("abcdef", (4, 8, 9, 9, 9, 0), strict=True)), (None, "3"))
RULES = (
    Inequality(name="born before", low="birth", high="in"),
    Inequality(name="stays a night", low="in", high="out", strict=True),
    RangeIf(
        name="women",
        when=When(column="pregnant", values=("true",)),
        then=When(column="sex", values=("F",)),
    ),
    MissingIf(name="men", when=When(column="sex", values=("M",)), column="pregnant", only=True),
    RangeIf(
        name="children", when=When(column="age", maximum=17), then=When(column="dose", maximum=9.5)
    ),
    Inequality(name="dose below age", low="dose", high="age"),
    Inequality(name="at most", low="level", high="most"),
    FixedCombinations(name="school", columns=("school", "years"), combinations=SCHOOL),
    OneHot(name="one colour", columns=("red", "green", "blue")),
    Unique(name="own number", column="record"),
)
SCHEMA = Schema(name="ruled", columns=COLUMNS, rules=RULES)


def generator_of(
    schema: Schema, latents: int = 12, seed: int = 0, spread: float = 2.0
) -> Generator:
    """Untrained latents that differ: far from any rule."""
    widths = tuple(domain.width for domain in domains(schema))
    network = GeneratorNetwork(
        GeneratorShape(widths=widths, latents=latents, latent_size=6, hidden=4)
    )
    source = torch.Generator().manual_seed(seed)
    even = torch.cat([torch.full((width,), 1 / width) for width in widths])
    network.initialise(even, source)
    with torch.no_grad():
        network.head.weight.mul_(spread)
    return Generator(network, Codebook.identity(schema), schema, make_statement())


@cache
def ruled() -> Generator:
    return generator_of(SCHEMA)


@cache
def long_sample() -> pd.DataFrame:
    return ruled().sample(150_000, seed=1)


def free_of(generator: Generator) -> Sampler:
    """The same generator as if it had no rules."""
    plain = generator.schema.model_copy(update={"rules": ()})
    return Sampler.of(generator.network, generator.codebook, plain)


MEETS = {
    "sex=M": lambda frame: frame["sex"] == "M",
    "age<18": lambda frame: frame["age"] < 18,
    "in is missing": lambda frame: frame["in"].isna(),
    "in is not missing": lambda frame: frame["in"].notna(),
    "in>=2019-06-01": lambda frame: frame["in"] >= "2019-06-01",
    "school in e,f": lambda frame: frame["school"].isin(["e", "f"]),
    "level>=mid": lambda frame: frame["level"] != "low",
    "level=high": lambda frame: frame["level"] == "high",
}


def broken(frame: pd.DataFrame, schema: Schema = SCHEMA) -> dict[str, int]:
    return {name: count for name, count in rule_violations(frame, schema).items() if count}


# --- every drawn record keeps every rule -----------------------------------------------------------


def test_a_hundred_thousand_records_break_no_rule_that_the_bare_generator_breaks():
    bare = free_of(ruled()).frame(20_000, np.random.default_rng(1))
    assert set(broken(bare)) == {rule.name for rule in RULES} - {"own number"}
    assert broken(long_sample()) == {}


@pytest.mark.parametrize("spread", [0.0, 8.0, 40.0])
def test_also_where_the_latents_hardly_allow_it(spread):
    generator = generator_of(SCHEMA, latents=5, seed=3, spread=spread)
    frame = generator.sample(4000, seed=1)
    assert broken(frame) == {}
    assert len(encode(frame, SCHEMA).codes) == 4000


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_also_in_a_sample_of_a_record_or_two(rows):
    for seed in range(15):
        assert broken(ruled().sample(rows, seed=seed)) == {}


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**20), st.sets(st.sampled_from(RULES[:-1]), min_size=1), st.data())
def test_any_of_the_rules_hold_in_any_generator_under_any_condition(seed, rules, data):
    schema = Schema(name="some", columns=COLUMNS, rules=tuple(sorted(rules, key=lambda r: r.name)))
    generator = generator_of(schema, latents=6, seed=seed, spread=data.draw(st.floats(0, 10)))
    where = data.draw(st.sets(st.sampled_from(sorted(MEETS)), max_size=2))
    try:
        frame = generator.sample(300, seed=seed, where=sorted(where))
    except InputError:
        assert where  # the two conditions exclude each other, or a rule excludes them
        return
    assert broken(frame, schema) == {}
    assert all(MEETS[condition](frame).all() for condition in where)


def test_columns_without_a_rule_are_as_before():
    schema = Schema(name="s", columns=COLUMNS, rules=RULES[:2])
    generator = generator_of(schema)
    bare = free_of(generator).frame(60_000, np.random.default_rng(1))
    kept = generator.sample(60_000, seed=2)
    for name in ("sex", "school", "years", "level"):
        shares = [frame[name].value_counts(normalize=True) for frame in (bare, kept)]
        assert (shares[0] - shares[1]).abs().max() < 0.01


def test_given_the_latent_the_law_is_the_generator_s_own_given_the_rule():
    columns = (
        IntegerColumn(name="a", minimum=0, maximum=5),
        IntegerColumn(name="b", minimum=0, maximum=5),
    )
    rule = Inequality(name="order", low="a", high="b")
    generator = generator_of(Schema(name="s", columns=columns, rules=(rule,)), latents=1, spread=6)
    bare = free_of(generator).frame(200_000, np.random.default_rng(1))
    wanted = bare[bare["a"] <= bare["b"]].value_counts(normalize=True)
    found = generator.sample(100_000, seed=2).value_counts(normalize=True)
    assert (wanted - found).abs().max() < 0.01


def test_keys_of_a_list_keep_their_shares():
    columns = (
        CategoricalColumn(name="code", categories=tuple("abcd"), other=False),
        CategoricalColumn(name="group", categories=("x", "y"), other=False),
    )
    pairs = (("a", "x"), ("b", "x"), ("c", "y"), ("d", "y"))
    rule = FixedCombinations(name="list", columns=("code", "group"), combinations=pairs)
    generator = generator_of(Schema(name="s", columns=columns, rules=(rule,)), spread=8)
    bare = free_of(generator).frame(60_000, np.random.default_rng(1))
    kept = generator.sample(60_000, seed=2)
    shares = [frame["code"].value_counts(normalize=True) for frame in (bare, kept)]
    assert (shares[0] - shares[1]).abs().max() < 0.01


def test_lists_with_a_common_column_are_joined():
    columns = tuple(
        CategoricalColumn(name=name, categories=("1", "2"), other=False) for name in "abc"
    )
    rules = tuple(
        FixedCombinations(name=a + b, columns=(a, b), combinations=(("1", "2"), ("2", "1")))
        for a, b in ("ab", "bc")
    )
    schema = Schema(name="s", columns=columns, rules=rules)
    frame = generator_of(schema).sample(2000, seed=1)
    assert set(map(tuple, frame.to_numpy())) == {("1", "2", "1"), ("2", "1", "2")}
    rules += (FixedCombinations(name="ac", columns=("a", "c"), combinations=(("1", "2"),)),)
    with pytest.raises(InputError, match="ab and bc and ac.*0 combinations"):
        generator_of(Schema(name="s", columns=columns, rules=rules))


# --- under conditions and for given cells -----------------------------------------------------------


def test_a_condition_on_a_listed_column_is_exact():
    where = ("school=b", "sex=M", "in>=2019-12-01")
    frame = ruled().sample(2000, seed=1, where=where)
    assert set(frame["years"]) == {8}
    assert frame["pregnant"].isna().all()
    assert frame["in"].ge("2019-12-01").all()
    assert broken(frame) == {}


@pytest.mark.parametrize("where", ["school in e,f", "level=high", "age<18", "in is not missing"])
def test_conditional_records_are_those_of_a_long_sample_that_meet_it(where):
    generator, free = ruled(), long_sample()
    test = MEETS[where](free)
    assert generator.probability(where) == pytest.approx(test.mean(), rel=0.15, abs=0.003)
    filtered, drawn = free[test], generator.sample(20_000, seed=2, where=where)
    bound = 0.01 + 1.5 / np.sqrt(len(filtered))
    for name in ("sex", "pregnant", "most", "school", "years"):
        shares = [f[name].astype(str).value_counts(normalize=True) for f in (filtered, drawn)]
        assert shares[0].sub(shares[1], fill_value=0).abs().max() < bound, name


def test_conditions_and_rules_that_no_record_meets_together_are_an_error_not_a_wait():
    with pytest.raises(InputError, match="rules? .*(contradict|no record)|probability below"):
        ruled().sample(100, seed=1, where=("sex=M", "pregnant=true"))


def test_completed_rows_keep_the_rules_and_the_given_cells():
    given_rows = ruled().sample(3000, seed=1)[["record", "out", "school", "sex"]]
    given_rows.loc[:999, "school"] = None
    given_rows.loc[500:1500, "out"] = "02.01.2015"
    completed = ruled().complete(given_rows, seed=2)
    assert broken(completed) == {}
    assert completed["out"].equals(given_rows["out"])
    assert completed["sex"].equals(given_rows["sex"])
    known = given_rows["school"].notna()  # an empty cell is one to be drawn
    assert completed["school"][known].equals(given_rows["school"][known])


@pytest.mark.parametrize(
    ("cells", "fault"),
    [
        ({"sex": "M", "pregnant": "true"}, "'women'.*1 row"),
        ({"in": "2016-05-05", "out": "05.05.2016"}, "'stays a night'.*1 row"),
        ({"school": "a", "years": "5"}, "school.*1 row|fixed combinations"),
        ({"years": "7"}, "fixed combinations"),
        ({"in": "2019-12-31"}, "cannot be completed without breaking"),
    ],
)
def test_given_cells_that_break_a_rule_are_refused(cells, fault):
    with pytest.raises(InputError, match=fault):
        ruled().complete(pd.DataFrame([cells], dtype="str"))


# --- a table's records -------------------------------------------------------------------------------


def test_records_that_break_a_rule_are_counted():
    good = ruled().sample(50, seed=1)
    bad = good.copy()
    bad.loc[0, "years"] = 7
    bad.loc[1:3, ["red", "green", "blue"]] = "true"
    bad.loc[4, ["in", "out"]] = ["2019-01-02", "02.01.2019"]
    bad.loc[5, ["sex", "pregnant"]] = ["M", "false"]
    bad.loc[6, "record"] = bad.loc[7, "record"]
    counts = rule_violations(bad, SCHEMA)
    assert counts == dict.fromkeys((rule.name for rule in RULES), 0) | {
        "school": 1,
        "one colour": 3,
        "stays a night": 1,
        "men": 1,
        "own number": 1,
    }


def test_a_missing_cell_breaks_no_comparison():
    frame = ruled().sample(20, seed=1)
    frame["in"] = None
    frame["dose"] = np.nan
    assert broken(frame) == {}


# --- declarations -------------------------------------------------------------------------------------

A = When(column="age", minimum=3)


@pytest.mark.parametrize(
    ("rule", "fault"),
    [
        (Inequality(name="r", low="age", high="sex"), "both columns must be numbers"),
        (Inequality(name="r", low="age", high="in"), "both columns must be numbers"),
        (Inequality(name="r", low="age", high="age"), "names a column twice"),
        (Inequality(name="r", low="age", high="record"), "'record' is not one of the modelled"),
        (Inequality(name="r", low="sex", high="level"), "ordered categories with one list"),
        (MissingIf(name="r", when=A, column="sex"), "'sex' is not nullable"),
        (MissingIf(name="r", when=When(column="sex", missing=True), column="in"), "not nullable"),
        (RangeIf(name="r", when=A, then=When(column="sex", values=("X",))), "'X' is not declared"),
        (RangeIf(name="r", when=A, then=When(column="sex", minimum="F")), "has no order"),
        (
            RangeIf(name="r", when=A, then=When(column="in", minimum="2019")),
            "'2019' is not a value",
        ),
        (RangeIf(name="r", when=A, then=When(column="age", minimum=901)), "names a column twice"),
        (RangeIf(name="r", when=A, then=When(column="years", minimum=10)), "no value of column"),
        (OneHot(name="r", columns=("red", "pregnant")), "boolean and not nullable"),
        (
            FixedCombinations(name="r", columns=("age", "sex"), combinations=(("3", "F"),)),
            "too many values",
        ),
        (
            FixedCombinations(name="r", columns=("sex", "years"), combinations=((None, "1"),)),
            "not nullable",
        ),
        (Unique(name="r", column="sex"), "no id or text"),
    ],
)
def test_a_rule_that_does_not_fit_its_columns_is_refused(rule, fault):
    with pytest.raises(ValidationError, match=f"rule 'r': .*{fault}|{fault}"):
        Schema(name="s", columns=COLUMNS, rules=(rule,))


def test_two_rules_of_one_name_are_refused():
    with pytest.raises(ValidationError, match="'at most': is declared more than once"):
        Schema(name="s", columns=COLUMNS, rules=(RULES[6], RULES[6]))


def test_a_condition_says_one_thing():
    with pytest.raises(ValidationError, match="expected values, or"):
        When(column="age")
    with pytest.raises(ValidationError, match="expected values, or"):
        When(column="age", minimum=1, missing=True)


def test_rules_survive_the_file_and_a_fault_names_the_rule(tmp_path):
    path = tmp_path / "schema.json"
    SCHEMA.save(path)
    assert Schema.load(path) == SCHEMA
    text = SCHEMA.to_json()
    path.write_text(text.replace('"low": "level", "high": "most"', '"low": "level"'))
    with pytest.raises(InputError, match="rule 'at most': high: this required field is missing"):
        Schema.load(path)


def test_a_schema_without_anything_new_has_the_text_it_always_had():
    plain = Schema(name="s", columns=(CategoricalColumn(name="c", categories=("x",)),))
    assert "rules" not in plain.to_json()
    assert (
        '{"name": "c", "kind": "categorical", "categories": ["x"], "other": true, '
        in plain.to_json()
    )
    assert "ordered" not in plain.to_json()


def wide(rules, combinations, columns):
    """A schema of long lists over columns with 4096 categories each, as text."""
    names = [f"c{place}" for place in range(columns)]
    categories = tuple(f"v{code}" for code in range(4096))
    rows = tuple(
        tuple(f"v{(row * (place + 1) + place) % 4096}" for place in range(columns))
        for row in range(combinations)
    )
    return {
        "columns": tuple(CategoricalColumn(name=n, categories=categories) for n in names),
        "rules": tuple(
            FixedCombinations(name=f"r{number}", columns=tuple(names), combinations=rows)
            for number in range(rules)
        ),
    }


def test_long_lists_are_checked_in_time_that_grows_with_their_length():
    """Half a million cells: looking each up in a list of categories took more than a minute."""
    parts = wide(rules=2, combinations=4096, columns=60)
    before = time.process_time()
    Schema(name="s", **parts)
    assert time.process_time() - before < 10


def test_the_lists_of_a_schema_are_bounded_together():
    parts = wide(rules=4, combinations=4096, columns=64)
    with pytest.raises(ValidationError, match="rule 'r3': .* more than 1000000 cells"):
        Schema(name="s", **parts)
    Schema(name="s", columns=parts["columns"], rules=parts["rules"][:3])
