"""Fine codes: the layout, the repairs, and that decoding inverts encoding."""

import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedsynth_common.encoding import RepairCounts, encode
from fedsynth_common.errors import InputError
from fedsynth_common.schema import (
    BooleanColumn,
    CategoricalColumn,
    DateColumn,
    IdColumn,
    IntegerColumn,
    NumericColumn,
    Schema,
    domain_of,
    domains,
)
from fedsynth_common.schema.domain import leaf_ticks
from fedsynth_release.decoding import decode

SECRET = "S3CRET"


def one(column, values, **keywords):
    """Codes and repairs of a single column."""
    schema = Schema(name="s", columns=(column,))
    frame = pd.DataFrame({column.name: values}, **keywords)
    encoded = encode(frame, schema)
    return encoded.codes[:, 0].tolist(), encoded.repairs[column.name]


# --- layout -----------------------------------------------------------------------------------


def test_layout_of_categories():
    c = CategoricalColumn(name="c", categories=("b", "a"), nullable=True)
    d = domain_of(c)
    assert (d.width, d.labels, d.other, d.missing) == (4, ("b", "a", "other"), 2, 3)
    assert one(c, ["a", "b", None, "zzz", "other"])[0] == [1, 0, 3, 2, 2]


def test_a_listed_other_is_the_other_cell():
    c = CategoricalColumn(name="c", categories=("a", "other", "b"))
    d = domain_of(c)
    assert (d.width, d.other) == (3, 1)
    assert one(c, ["other", "zzz", "b"])[0] == [1, 1, 2]


def test_layout_of_booleans():
    c = BooleanColumn(name="c", true="yes", false="no", nullable=True)
    assert one(c, ["no", "yes", None])[0] == [0, 1, 2]
    assert one(BooleanColumn(name="c"), [True, False])[0] == [1, 0]


def test_layout_of_short_integers_is_one_leaf_each():
    c = IntegerColumn(name="c", minimum=-1, maximum=2, atoms=(2, 0), nullable=True)
    d = domain_of(c)
    assert (d.width, d.atoms, d.leaves, d.missing) == (7, 2, 4, 6)
    assert one(c, [0, 2, -1, 1, None])[0] == [0, 1, 2, 4, 6]
    assert d.edges.tolist() == [-1, 0, 1, 2, 3]


def test_long_ranges_have_256_leaves():
    for scale in ("linear", "log"):
        d = domain_of(IntegerColumn(name="c", minimum=0, maximum=10**6, scale=scale))
        assert (d.width, d.leaves) == (256, 256)
        assert (d.edges == np.rint(d.edges)).all()
        assert (d.edges[0], d.edges[-1]) == (0, 10**6 + 1)


def test_decimals_bound_the_number_of_leaves():
    d = domain_of(NumericColumn(name="c", minimum=0.0, maximum=1.0, decimals=1))
    assert d.leaves == 11
    assert d.edges.tolist() == pytest.approx(np.arange(12) / 10)


def test_log_leaves_are_even_in_the_logarithm():
    edges = leaf_ticks(1000, 10**6, "log").astype(float)
    ratios = edges[1:] / edges[:-1]
    assert ratios.min() > 1.02
    assert ratios.max() < 1.035  # exactly 1000 ** (1 / 256) = 1.0274 before rounding to ticks


@pytest.mark.parametrize(("low", "high"), [(-(10**6), 10**6), (-(10**6), -1000)])
def test_log_leaves_below_zero_are_those_above_it_mirrored(low, high):
    edges, mirrored = leaf_ticks(low, high, "log"), leaf_ticks(-high, -low, "log")
    assert np.abs(edges - (1 - mirrored[::-1])).max() <= 2 + 1e-2 * np.abs(edges).max()
    assert np.diff(edges)[np.abs(edges[:-1]) < 2000].max() < 250 < np.diff(edges).max()


@given(st.integers(-(10**9), 10**9), st.integers(0, 10**9), st.sampled_from(["linear", "log"]))
def test_leaves_tile_the_range(low, span, scale):
    edges = leaf_ticks(low, low + span, scale)
    assert (edges[0], edges[-1]) == (low, low + span + 1)
    assert (np.diff(edges) >= 1).all()
    assert len(edges) - 1 == min(256, span + 1)


def test_ids_have_no_domain():
    schema = Schema(name="s", columns=(IdColumn(name="i"), BooleanColumn(name="b")))
    assert [d.name for d in domains(schema)] == ["b"]


# --- repairs and refusals ---------------------------------------------------------------------


def test_out_of_range_numbers_clamp_and_are_counted():
    c = IntegerColumn(name="c", minimum=0, maximum=9)
    codes, repairs = one(c, ["-5", "3", "12", "1e300"])
    assert codes == [0, 3, 9, 9]
    assert repairs == RepairCounts(clamped=3)


def test_clamping_onto_an_atom_gives_the_atom():
    assert one(IntegerColumn(name="c", minimum=0, maximum=9, atoms=(0,)), [-3])[0] == [0]


def test_surplus_decimals_round_and_are_counted():
    codes, repairs = one(NumericColumn(name="c", minimum=0.0, maximum=1.0, decimals=1), [0.3, 0.26])
    assert codes == [3, 3]
    assert repairs == RepairCounts(rounded=1)


def test_text_among_numbers_is_missing_where_allowed():
    c = IntegerColumn(name="c", minimum=0, maximum=9, nullable=True)
    codes, repairs = one(c, ["1", "twelve", None, "inf"])
    assert codes == [1, 10, 10, 10]
    assert repairs == RepairCounts(unparsable=2)


@pytest.mark.parametrize(
    ("column", "code"),
    [
        (IntegerColumn(name="c", minimum=0, maximum=9, nullable=True), 10),
        (DateColumn(name="c", minimum="2020-01-01", maximum="2020-01-03", nullable=True), 3),
        (CategoricalColumn(name="c", categories=("a", "b"), nullable=True), 3),
        (BooleanColumn(name="c", nullable=True), 2),
    ],
    ids=lambda value: getattr(value, "kind", None),
)
def test_what_programs_write_for_a_missing_cell_is_no_repair(column, code):
    codes, repairs = one(column, ["NA", "N/A", "NULL", "nan", ".", "#N/A", None])
    assert codes == [code] * 7
    assert repairs == RepairCounts()


def test_a_declared_category_is_no_mark_of_a_missing_cell():
    countries = CategoricalColumn(name="c", categories=("NA", "ZA"), nullable=True)
    assert one(countries, ["NA", "ZA", "n/a"])[0] == [0, 1, 3]
    without = CategoricalColumn(name="c", categories=("a",))  # nothing can be missing in it
    assert one(without, ["NA"])[0] == [1]


def test_unknown_categories_are_other_and_counted():
    codes, repairs = one(CategoricalColumn(name="c", categories=("1", "2")), [1.0, 2.0, 7.0])
    assert codes == [0, 1, 2]
    assert repairs == RepairCounts(unknown=1)
    assert repairs.total == 1


@pytest.mark.parametrize(
    ("column", "values", "fault"),
    [
        (
            CategoricalColumn(name="c", categories=("a",), other=False),
            ["a", SECRET],
            "1 cell is not",
        ),
        (CategoricalColumn(name="c", categories=("a",)), ["a", None, None], "2 cells are missing"),
        (BooleanColumn(name="c"), ["true", SECRET], "1 cell is not listed"),
        (IntegerColumn(name="c", minimum=0, maximum=1), ["1", SECRET], "1 cell is not a number"),
        (NumericColumn(name="c", minimum=0.0, maximum=1.0), ["1", None], "1 cell is missing"),
    ],
)
def test_what_cannot_be_repaired_is_refused_without_its_value(column, values, fault):
    with pytest.raises(InputError, match=f"column 'c': {fault}") as caught:
        one(column, values)
    assert SECRET not in str(caught.value)


def test_columns_must_be_those_of_the_schema():
    schema = Schema(name="s", columns=(IdColumn(name="i"), BooleanColumn(name="b")))
    frame = pd.DataFrame({"b": ["true"], "i": ["7"], "x": ["1"]})
    with pytest.raises(InputError, match="does not know: 'x'"):
        encode(frame, schema)
    assert encode(frame, schema, extra="ignore").codes.tolist() == [[1]]
    assert encode(frame[["b"]], schema).codes.tolist() == [[1]]
    with pytest.raises(InputError, match="lacks columns of the schema: 'b'"):
        encode(frame[["i"]], schema)
    with pytest.raises(InputError, match="same name"):
        encode(frame[["b", "b"]], schema)


def test_no_rows_encode_and_decode():
    schema = Schema(
        name="s", columns=(BooleanColumn(name="b"), IntegerColumn(name="n", minimum=0, maximum=9))
    )
    encoded = encode(pd.DataFrame({"b": [], "n": []}, dtype="str"), schema)
    assert encoded.codes.shape == (0, 2)
    assert list(decode(encoded.codes, schema, np.random.default_rng(0)).columns) == ["b", "n"]


# --- decoding ---------------------------------------------------------------------------------


@st.composite
def columns(draw):
    kind = draw(st.sampled_from(["integer", "numeric", "categorical", "boolean"]))
    nullable = draw(st.booleans())
    if kind == "boolean":
        return BooleanColumn(name="c", nullable=nullable)
    if kind == "categorical":
        texts = draw(st.lists(st.sampled_from("abcdefgh"), min_size=1, unique=True))
        return CategoricalColumn(
            name="c", categories=tuple(texts), other=draw(st.booleans()), nullable=nullable
        )
    scale = draw(st.sampled_from(["linear", "log"]))
    low = draw(st.integers(-(10**6), 10**6))
    high = low + draw(st.integers(0, 10**6))
    atoms = sorted(draw(st.sets(st.integers(low, high), max_size=5)))
    if kind == "integer":
        return IntegerColumn(
            name="c", minimum=low, maximum=high, atoms=tuple(atoms), scale=scale, nullable=nullable
        )
    decimals = draw(st.integers(0, 6))
    unit = 10**decimals
    return NumericColumn(
        name="c",
        minimum=low / unit,
        maximum=high / unit,
        decimals=decimals,
        atoms=tuple(atom / unit for atom in atoms),
        scale=scale,
        nullable=nullable,
    )


def has_own_value(domain):
    """Cells that hold a representable value which is not an atom (or are no leaf)."""
    own = np.ones(domain.width, dtype=bool)
    for leaf in range(domain.leaves):
        inside = set(domain.atom_ticks.tolist())
        start, stop = domain.ticks[leaf], domain.ticks[leaf + 1]
        if all(tick in inside for tick in range(start, min(stop, start + 6))) and stop - start < 6:
            own[domain.atoms + leaf] = False
    return own


@settings(max_examples=150, deadline=None)
@given(columns(), st.integers(0, 2**32 - 1))
def test_encode_inverts_decode(column, seed):
    schema = Schema(name="s", columns=(column,))
    (domain,) = domains(schema)
    codes = np.repeat(np.flatnonzero(has_own_value(domain)), 3).astype(np.uint16)[:, None]
    frame = decode(codes, schema, np.random.default_rng(seed))
    again = encode(frame, schema)
    np.testing.assert_array_equal(again.codes, codes)
    assert again.repairs["c"].clamped == again.repairs["c"].rounded == 0


@settings(max_examples=60, deadline=None)
@given(columns())
def test_text_of_decoded_values_encodes_alike(column):
    """What a CSV file keeps of a table is enough."""
    schema = Schema(name="s", columns=(column,))
    (domain,) = domains(schema)
    codes = np.flatnonzero(has_own_value(domain)).astype(np.uint16)[:, None]
    frame = decode(codes, schema, np.random.default_rng(0))
    texts = frame.map(lambda cell: None if pd.isna(cell) else str(cell)).astype("str")
    np.testing.assert_array_equal(encode(texts, schema).codes, codes)


def test_decoded_types():
    schema = Schema(
        name="s",
        columns=(
            IntegerColumn(name="i", minimum=0, maximum=10**6, nullable=True),
            NumericColumn(name="x", minimum=0.0, maximum=1.0, decimals=3),
            CategoricalColumn(name="c", categories=("a",), nullable=True),
            BooleanColumn(name="b", true="Y", false="N"),
        ),
    )
    codes = np.array([[256, 0, 1, 1], [3, 255, 2, 0]], dtype=np.uint16)
    frame = decode(codes, schema, np.random.default_rng(0))
    assert [str(t) for t in frame.dtypes] == ["Int64", "float64", "str", "str"]
    assert frame["i"].isna().tolist() == [True, False]
    assert frame["c"].fillna("-").tolist() == ["other", "-"]
    assert frame["b"].tolist() == ["Y", "N"]
    assert (frame["x"].round(3) == frame["x"]).all()


def test_decoding_is_uniform_over_the_representable_values():
    column = IntegerColumn(name="c", minimum=0, maximum=256 * 8 - 1, atoms=(2, 3))
    codes = np.full((60_000, 1), 2, dtype=np.uint16)  # the leaf 0..7, of which 2 and 3 are atoms
    values = decode(codes, Schema(name="s", columns=(column,)), np.random.default_rng(0))["c"]
    counts = values.value_counts()
    assert sorted(counts.index) == [0, 1, 4, 5, 6, 7]
    assert counts.min() > 9_600
    assert counts.max() < 10_400


def test_a_leaf_of_atoms_alone_decodes_to_its_atom():
    column = IntegerColumn(name="c", minimum=0, maximum=3, atoms=(1,))
    codes = np.array([[2]], dtype=np.uint16)  # atom 1 | leaves 0 1 2 3
    frame = decode(codes, Schema(name="s", columns=(column,)), np.random.default_rng(0))
    assert frame["c"].tolist() == [1]


def test_codes_of_another_schema_are_refused():
    schema = Schema(name="s", columns=(BooleanColumn(name="b"),))
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match="column 'b'"):
        decode(np.array([[2]], dtype=np.uint16), schema, rng)
    with pytest.raises(InputError, match="expected 1 columns"):
        decode(np.zeros((1, 2), dtype=np.uint16), schema, rng)


def test_a_census_sized_table_encodes_fast():
    n = 50_000
    rng = np.random.default_rng(0)
    schema = Schema(
        name="s",
        columns=(
            *(IntegerColumn(name=f"i{k}", minimum=0, maximum=10**6) for k in range(6)),
            *(CategoricalColumn(name=f"c{k}", categories=tuple("abcdefgh")) for k in range(9)),
        ),
    )
    codes = np.stack([rng.integers(0, d.width, n) for d in domains(schema)], axis=1)
    texts = decode(codes.astype(np.uint16), schema, rng).astype("str")
    start = time.process_time()
    encode(texts, schema)
    assert time.process_time() - start < 3.0  # 0.2 s alone; generous for a shared machine
