"""Records under conditions and completed rows: as if drawn freely and kept only where they fit."""

import time
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from command import fedsynth
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from small_study import make_statement

from fedsynth_common.errors import InputError
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    IdColumn,
    IntegerColumn,
    NumericColumn,
    Schema,
    domain_of,
    domains,
)
from fedsynth_common.schema.tick_set import TickSet
from fedsynth_common.tables import read_table
from fedsynth_release.decoding import Codebook
from fedsynth_release.decoding.cell_ticks import leaf_values
from fedsynth_release.generator import Generator
from fedsynth_release.generator_network import GeneratorNetwork, GeneratorShape
from fedsynth_release.sampling.condition_sets import condition_sets
from fedsynth_release.sampling.conditions import Condition
from fedsynth_release.table_writer import write_table

SCHEMA = Schema(
    name="clinic",
    columns=(
        IdColumn(name="patient"),
        IntegerColumn(name="age", minimum=0, maximum=99),
        NumericColumn(
            name="chol", minimum=0.0, maximum=900.0, decimals=1, atoms=(0.0, 99.9), nullable=True
        ),
        CategoricalColumn(name="region", categories=("north", "south", "the east, coast")),
        BooleanColumn(name="smoker", nullable=True),
        CategoricalColumn(name="time in bed", categories=("short", "long"), other=False),
    ),
)
ROWS = 60_000


@cache
def make_generator() -> Generator:
    """Six very different latents, bins of uneven shape: columns depend on each other."""
    rng = np.random.default_rng(5)
    views, shapes = [], []
    for domain in domains(SCHEMA):
        groups = np.arange(domain.width)
        if domain.ordered:  # leaves in bins of 30
            leaf = np.arange(domain.leaves)
            groups[domain.atoms : domain.atoms + domain.leaves] = domain.atoms + leaf // 30
        groups = np.unique(groups, return_inverse=True)[1]
        shape = rng.random(domain.width) ** 2
        shape /= np.bincount(groups, weights=shape)[groups]
        views.append(groups)
        shapes.append(shape)
    codebook = Codebook(tuple(views), tuple(shapes))
    shape = GeneratorShape(widths=codebook.widths, latents=6, latent_size=6, hidden=1)
    network = GeneratorNetwork(shape)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.latent.copy_(torch.eye(6))
        noise = torch.from_numpy(rng.normal(0, 1.5, (codebook.total, 6)))
        network.head.weight[:, 1:] = noise
    return Generator(network, codebook, SCHEMA, make_statement())


@cache
def free_sample() -> pd.DataFrame:
    return make_generator().sample(3 * ROWS, seed=1)


def coarse(frame: pd.DataFrame, schema: Schema = SCHEMA) -> pd.DataFrame:
    """Every column as few texts; the values of numbers in deciles of the free sample."""
    texts = {}
    for column in schema.modelled:
        if not domain_of(column).ordered:
            texts[column.name] = frame[column.name].astype(object).fillna("?")
            continue
        values = frame[column.name].astype("Float64")
        edges = np.unique(
            free_sample()[column.name].astype("Float64").dropna().quantile([0.3, 0.7])
        )
        place = np.searchsorted(edges, values.fillna(-1).to_numpy(float))
        texts[column.name] = np.where(values.isna(), "?", place.astype(str))
    return pd.DataFrame(texts).astype(str)


def same_law(one: pd.Series, other: pd.Series) -> bool:
    """Chi-square test of homogeneity; cells with few records are put together."""
    counts = pd.concat([one.value_counts(), other.value_counts()], axis=1).fillna(0).to_numpy()
    small = counts.sum(axis=1) < 25
    table = np.vstack([counts[~small], counts[small].sum(axis=0)])
    table = table[table.sum(axis=1) > 0]
    return len(table) < 2 or stats.chi2_contingency(table)[1] > 1e-5


def same_laws(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    """Every column and every pair of columns."""
    one, other = coarse(one), coarse(other)
    names = list(one.columns)
    return all(
        same_law(one[a] + "/" + one[b], other[a] + "/" + other[b])
        for i, a in enumerate(names)
        for b in names[i:]
    )


def number(frame, name):
    return frame[name].astype("Float64")


CASES = [
    (("age>=65",), lambda f: f.age >= 65),
    (("age<17", "age>3"), lambda f: (f.age < 17) & (f.age > 3)),
    (("age!=30", "age not in 31, 32"), lambda f: ~f.age.isin([30, 31, 32])),
    (("age=42",), lambda f: f.age == 42),
    (("chol>251.3",), lambda f: number(f, "chol") > 251.3),  # inside a leaf
    (("chol<=99.9",), lambda f: number(f, "chol") <= 99.9),  # ends on an atom
    (("chol < 99.9", "chol!=0"), lambda f: (number(f, "chol") < 99.9) & (number(f, "chol") != 0)),
    (("chol in 0,99.9",), lambda f: number(f, "chol").isin([0, 99.9])),
    (("chol is missing",), lambda f: f.chol.isna()),
    (("chol is not missing", "smoker is missing"), lambda f: f.chol.notna() & f.smoker.isna()),
    (("region=north",), lambda f: f.region == "north"),
    (("region = other",), lambda f: f.region == "other"),
    (
        ('region in "the east, coast",south', "age>50"),
        lambda f: f.region.isin(["the east, coast", "south"]) & (f.age > 50),
    ),
    (("smoker!=true",), lambda f: f.smoker == "false"),  # never a missing one
    (
        ("time in bed in long", "smoker=true"),
        lambda f: (f["time in bed"] == "long") & (f.smoker == "true"),
    ),
]


@pytest.mark.parametrize(("where", "holds"), CASES, ids=[" & ".join(case[0]) for case in CASES])
def test_it_is_the_free_sample_filtered(where, holds):
    generator, free = make_generator(), free_sample()
    kept = free[holds(free).fillna(False).astype(bool)]
    share = generator.probability(where)
    assert abs(len(kept) / len(free) - share) < 5 * np.sqrt(share / len(free))
    found = generator.sample(min(len(kept), ROWS), seed=2, where=where)
    assert holds(found).fillna(False).all()
    assert same_laws(kept.head(ROWS), found)
    assert list(found.dtypes) == list(free.dtypes)


def test_the_comparison_of_laws_can_fail():
    """Columns drawn without regard to each other have the right margins and the wrong pairs."""
    kept = free_sample()[free_sample().age >= 65].head(ROWS)
    mixed = kept.assign(region=kept.region.sample(frac=1, random_state=1).to_numpy())
    assert not same_laws(kept, mixed)
    assert not same_laws(kept, free_sample().head(ROWS))


def test_values_inside_a_cut_leaf_are_as_likely_as_before():
    """Leaves of chol hold some 35 values; 251.3 cuts one."""
    where = ("chol>251.3", "chol<=260")
    free = number(free_sample(), "chol")
    kept = free[(free > 251.3) & (free <= 260)].astype(str)
    found = make_generator().sample(len(kept), seed=3, where=where)
    assert same_law(kept, found.chol.astype(str))


def test_a_seed_repeats_the_records():
    generator, where = make_generator(), ("age>=65", "chol is missing")
    one, two, other = (generator.sample(300, seed, where) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one, two)
    assert not one.equals(other)
    assert not generator.sample(300, where=where).equals(generator.sample(300, where=where))


def test_a_condition_read_or_made_by_hand_is_the_same():
    generator = make_generator()
    texts = "region  in  north,south"
    made = Condition("region", "in", ("north", "south"))
    assert Condition.parse(texts, SCHEMA) == made
    assert str(made) == "region in north,south"
    assert generator.probability((made,)) == generator.probability(texts)
    assert Condition.parse("age==5", SCHEMA) == Condition.parse(" age = 5 ", SCHEMA)
    assert Condition.parse("time in bed is  missing", SCHEMA).column == "time in bed"
    assert generator.probability(()) == 1.0
    for everything in ("age>=-5", "age<=1e99", "age>-1e99"):
        assert generator.probability(everything) == pytest.approx(1.0)


def test_a_rare_condition_takes_no_longer():
    generator = make_generator()
    where = ("age=42", "chol=520.3", "region=other", "smoker is missing")
    assert 1e-9 < generator.probability(where) < 1e-5
    start = time.process_time()
    found = generator.sample(20_000, seed=1, where=where)
    assert time.process_time() - start < 5
    assert set(found.age) == {42}
    assert set(found.chol) == {520.3}
    assert set(found.region) == {"other"}
    assert found.smoker.isna().all()


def test_a_probability_of_zero_weight_latents_is_never_drawn():
    """A latent that cannot meet the condition gives no record; nor does an underflow."""
    network = GeneratorNetwork(GeneratorShape(widths=(2, 2), latents=2, latent_size=2, hidden=1))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.latent.copy_(200 * torch.eye(2))
        network.head.weight[:, 1:] = torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    columns = [CategoricalColumn(name=n, categories=("x", "y"), other=False) for n in "ab"]
    schema = Schema(name="pair", columns=tuple(columns))
    generator = Generator(network, Codebook.identity(schema), schema, make_statement())
    assert generator.probability("a=x") == pytest.approx(0.5)
    found = generator.sample(2000, seed=1, where="a=x")
    assert (found == "x").all().all()
    with pytest.raises(InputError, match="below 1e-09"):
        generator.sample(1, where=("a=x", "b=y"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a column"),
        ("height>3", "'age', 'chol'"),
        ("agee>=65", "no column 'agee'; expected one of 'age'"),
        ("age", "one of ="),
        ("age ~ 3", "one of ="),
        ("age>=", "a value after '>='"),
        ("region in ", "a value after 'in'"),
        ("region in north,,south", "a value after 'in'"),
        ("age>=old", "expected one, not 'old'"),
        ("age>=nan", "not 'nan'"),
        ("age<1e999999999", "not '1e999999999'"),
        ("age=1e99", "never holds 1e99; expected a number between 0 and 99"),
        ("age in 3,-1e99", "never holds -1e99"),
        ("age>=1e99", "below 1e-09"),
        ("chol<-1e99", "below 1e-09"),
        ("age=3.5", "never holds 3.5; expected a number between 0 and 99"),
        ("age=100", "between 0 and 99"),
        ("chol=3.14", "at most 1 decimals"),
        ("region=west", "category 'west' of column 'region' is not declared"),
        ("region>north", "holds texts and '>' is for numbers"),
        ("age is missing", "not nullable"),
        ("patient=7", "an id"),
        ("age>=65\nage<3", "expected one, not"),
        ("region in north\n,south", "separated by commas"),
        ("age>99", "below 1e-09"),
    ],
)
def test_a_bad_condition_is_one_clear_line(text, said):
    with pytest.raises(InputError) as caught:
        make_generator().probability((text,))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "where",
    [("age>=65", "age<60"), ("chol is missing", "chol>5"), ("smoker=true", "smoker is missing")],
)
def test_conditions_that_exclude_each_other(where):
    with pytest.raises(InputError, match="; .*below 1e-09"):
        make_generator().sample(1, where=where)


@pytest.mark.parametrize(
    ("operator", "values"), [("~", ("1",)), (">=", ()), ("=", ("1", "2")), ("is missing", ("1",))]
)
def test_a_condition_made_by_hand_is_checked(operator, values):
    with pytest.raises(InputError, match="condition"):
        Condition("age", operator, values)


def test_several_conditions_on_one_number_keep_its_atoms():
    texts = ("chol>=0", "chol<=99.9")
    conditions = [Condition.parse(text, SCHEMA) for text in texts]
    here = condition_sets(conditions, SCHEMA)[1]
    domain = domain_of(SCHEMA.modelled[1])
    assert here.cells[: domain.atoms].tolist() == [1.0, 1.0]
    assert here.cells[domain.missing] == 0.0


# --- sets of ticks -----------------------------------------------------------------------------

SETS = st.lists(st.integers(-20, 20), max_size=20).map(set)


@given(one=SETS, other=SETS)
def test_sets_of_ticks_are_sets(one, other):
    ticks = np.arange(-25, 26)
    for found, expected in (
        (TickSet.of(one), one),
        (TickSet.of(one) & TickSet.of(other), one & other),
        (TickSet.of(one).without(other), one - other),
    ):
        assert len(found) == len(expected)
        assert set(ticks[found.contains(ticks)]) == expected
        assert found.at(np.arange(len(expected))).tolist() == sorted(expected)
        assert found.rank(ticks).tolist() == [sum(e < t for e in expected) for t in ticks]


def test_leaves_of_nothing_but_atoms_keep_a_value():
    column = IntegerColumn(name="n", minimum=0, maximum=9, atoms=(3, 5))
    assert len(leaf_values(domain_of(column))) == 10
    wide = NumericColumn(name="n", minimum=0, maximum=900, decimals=1, atoms=(0.0, 5.1))
    assert len(leaf_values(domain_of(wide))) == 9001 - 2


# --- completing rows ---------------------------------------------------------------------------


def test_given_cells_stay_and_the_rest_follow():
    """Rows of the free sample, some columns blanked out: the whole law comes back."""
    rows = free_sample().head(30_000)
    held = rows[["age", "region"]]
    found = make_generator().complete(held, seed=4)
    assert list(found.columns) == [column.name for column in SCHEMA.modelled]
    pd.testing.assert_frame_equal(found[["age", "region"]], held)
    assert same_laws(free_sample().tail(30_000), found)
    shuffled = make_generator().complete(held.sample(frac=1, random_state=1), seed=4)
    assert not same_laws(found, shuffled.assign(age=held.age, region=held.region))


def test_empty_cells_are_drawn_row_by_row():
    given_rows = pd.DataFrame(
        {
            "region": ["north", None, "north"] * 8000,
            "smoker": [None, "true", "true"] * 8000,
            "patient": [f"p{i}" for i in range(24_000)],
        }
    )
    found = make_generator().complete(given_rows, seed=1)
    assert next(iter(found.columns)) == "patient"
    assert found.patient.tolist() == given_rows.patient.tolist()
    generator = make_generator()
    for start, where in enumerate(
        (("region=north",), ("smoker=true",), ("region=north", "smoker=true"))
    ):
        part = found.iloc[start::3]
        direct = generator.sample(len(part), seed=9, where=where)
        assert same_laws(part, direct)


def test_completion_repeats_with_a_seed_and_has_a_bounded_batch(monkeypatch):
    generator, rows = make_generator(), free_sample().head(500)[["chol"]]
    pd.testing.assert_frame_equal(generator.complete(rows, 3), generator.complete(rows, 3))
    assert not generator.complete(rows, 3).equals(generator.complete(rows, 4))
    monkeypatch.setattr("fedsynth_release.sampling.completion.BATCH", 6 * 64)
    monkeypatch.setattr("fedsynth_release.generator.CHUNK", 150)
    found = generator.complete(rows, 3)
    pd.testing.assert_series_equal(found.chol[rows.chol.notna()], rows.chol.dropna())
    assert len(found) == 500
    assert not found.age.isna().any()


def test_cells_as_text_and_the_other_cell():
    rows = pd.DataFrame({"age": ["42"], "chol": ["251.3"], "region": ["other"]}, dtype="str")
    found = make_generator().complete(rows, seed=1)
    assert found.age.tolist() == [42]
    assert found.chol.tolist() == [251.3]
    assert found.region.tolist() == ["other"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ({"age": []}, "no rows"),
        ({"age": [150]}, "column 'age': 1 given"),
        ({"age": ["4.5"]}, "column 'age'"),
        ({"age": ["old"]}, "column 'age'"),
        ({"chol": ["much", "1.25"]}, "column 'chol': 2 given"),
        ({"region": ["mars"]}, "column 'region': 1 given cell(s) are not among the categories"),
        ({"time in bed": ["never"]}, "column 'time in bed'"),
        ({"height": [1]}, "'height'"),
    ],
)
def test_given_cells_that_do_not_fit_are_refused_without_their_value(rows, said):
    with pytest.raises(InputError) as caught:
        make_generator().complete(pd.DataFrame(rows))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not any(value in str(caught.value) for value in ("150", "old", "much", "never", "4.5"))


# --- the command -------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "generator").mkdir()
    make_generator().save(tmp_path / "generator")
    return tmp_path / "generator"


def test_the_command_says_how_common_the_condition_is(folder, tmp_path):
    out = tmp_path / "s.csv"
    arguments = ("--rows", 50, "--out", out, "--seed", 1)
    result = fedsynth("sample", folder, *arguments, "--where", "age>=65", "--where", "region=north")
    assert (result.returncode, result.stdout) == (0, "")
    percent = 100 * make_generator().probability(("age>=65", "region=north"))
    assert result.stderr == f"conditions hold for about {percent:.2g} % of records\n"
    table = read_table(out)
    assert len(table) == 50
    assert (table.age.astype(int) >= 65).all()
    assert set(table.region) == {"north"}


def test_the_command_completes_rows(folder, tmp_path):
    rows = free_sample().head(20)[["age", "smoker"]]
    write_table(rows, tmp_path / "rows.csv")
    out = tmp_path / "s.parquet"
    result = fedsynth("sample", folder, "--given", tmp_path / "rows.csv", "--out", out)
    assert (result.returncode, result.stderr) == (0, "")
    assert read_table(out).age.tolist() == rows.age.tolist()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--rows", 5, "--where", "height>3"),
        ("--rows", 5, "--where", "age>99"),
        ("--rows", 5, "--given", "rows.csv"),
        ("--given", "rows.csv"),
        ("--given", "rows.csv", "--where", "age>=65"),
        (),
    ],
)
def test_what_does_not_fit_ends_with_2_and_writes_nothing(folder, tmp_path, arguments):
    result = fedsynth("sample", folder, "--out", tmp_path / "s.csv", *arguments)
    assert result.returncode == 2
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "s.csv").exists()
