"""Numbers on a grid: records are rounded to it, rows lie on it, rules and conditions hold with it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from small_study import make_statement

from fedsynth_common.encoding import RepairCounts, encode, rule_violations
from fedsynth_common.errors import InputError
from fedsynth_common.schema import (
    Inequality,
    IntegerColumn,
    NumericColumn,
    Schema,
    domain_of,
    domains,
)
from fedsynth_release.decoding import Codebook, decode
from fedsynth_release.decoding.cell_ticks import leaf_values
from fedsynth_release.drafting.draft import draft_schema
from fedsynth_release.generator import Generator
from fedsynth_release.generator_network import GeneratorNetwork, GeneratorShape

LIMIT = IntegerColumn(name="limit", minimum=10_000, maximum=1_000_000, step=10_000)
PRICE = NumericColumn(
    name="price", minimum=0.99, maximum=4000.99, decimals=2, step=1.0, atoms=(0.0,)
)
DEBT = IntegerColumn(name="debt", minimum=-20_000, maximum=900_000, step=500, scale="log")
SCHEMA = Schema(
    name="grids",
    columns=(LIMIT, PRICE, DEBT),
    rules=(Inequality(name="debt", low="debt", high="limit"),),
)


def generator():
    widths = tuple(domain.width for domain in domains(SCHEMA))
    network = GeneratorNetwork(GeneratorShape(widths=widths, latents=6, latent_size=4, hidden=4))
    return Generator(network, Codebook.identity(SCHEMA), SCHEMA, make_statement())


def off_grid(frame):
    return {
        "limit": int((frame["limit"] % 10_000 != 0).sum()),
        "debt": int((frame["debt"] % 500 != 0).sum()),
        "price": int((~(np.isclose(frame["price"] % 1, 0.99) | (frame["price"] == 0))).sum()),
    }


@pytest.mark.parametrize("column", [LIMIT, PRICE, DEBT], ids=lambda column: column.name)
def test_every_value_of_the_grid_has_a_cell_and_every_cell_holds_one(column):
    domain, values = domain_of(column), leaf_values(domain_of(column))
    assert (np.diff(domain.ticks) > 0).all()
    assert (values.rank(domain.ticks[1:]) > values.rank(domain.ticks[:-1])).all()
    members = values.at(np.arange(len(values)))
    assert set(np.diff(members).tolist()) == {domain.step}


@pytest.mark.parametrize("column", [LIMIT, PRICE, DEBT], ids=lambda column: column.name)
def test_values_of_the_grid_come_back_from_their_cells(column):
    schema = Schema(name="s", columns=(column,))
    domain = domain_of(column)
    ticks = leaf_values(domain).at(np.arange(len(leaf_values(domain))))
    frame = pd.DataFrame({column.name: ticks / 10.0**domain.decimals})
    encoded = encode(frame, schema)
    assert encoded.repairs[column.name] == RepairCounts()
    back = decode(encoded.codes, schema, np.random.default_rng(0))
    assert encode(back, schema).codes.tolist() == encoded.codes.tolist()
    assert encode(back, schema).repairs[column.name] == RepairCounts()


def test_a_record_off_the_grid_is_rounded_and_counted():
    frame = pd.DataFrame({"limit": [14_000, 16_000, 10_000, 5_000_000]})
    encoded = encode(frame, Schema(name="s", columns=(LIMIT,)))
    assert encoded.codes[:, 0].tolist() == [0, 1, 0, 99]
    assert encoded.repairs["limit"] == RepairCounts(rounded=2, clamped=1)


def test_an_atom_off_the_grid_stays_what_it_is():
    frame = pd.DataFrame({"price": [0.0, 0.99, 1.99]})
    encoded = encode(frame, Schema(name="s", columns=(PRICE,)))
    assert encoded.repairs["price"] == RepairCounts()
    drawn = decode(encoded.codes[:1], Schema(name="s", columns=(PRICE,)), np.random.default_rng(0))
    assert drawn["price"].tolist() == [0.0]


def test_drawn_rows_lie_on_the_grid_and_keep_the_rules():
    frame = generator().sample(20_000, seed=1)
    assert off_grid(frame) == {"limit": 0, "debt": 0, "price": 0}
    assert rule_violations(frame, SCHEMA) == {"debt": 0}
    assert len(encode(frame, SCHEMA).codes) == 20_000


def test_conditions_see_the_grid():
    frame = generator().sample(300, seed=1, where=("limit<=20000",))
    assert set(frame["limit"]) <= {10_000, 20_000}
    with pytest.raises(InputError, match="limit"):
        generator().sample(3, seed=1, where=("limit=12345",))


@given(low=st.integers(-(10**9), 10**9), step=st.integers(1, 10**6), count=st.integers(0, 3000))
def test_any_grid_has_cells_in_order(low, step, count):
    for scale in ("linear", "log"):
        column = IntegerColumn(
            name="c", minimum=low, maximum=low + step * count, step=step, scale=scale
        )
        domain = domain_of(column)
        values = leaf_values(domain)
        assert len(values) == count + 1
        assert (values.rank(domain.ticks[1:]) > values.rank(domain.ticks[:-1])).all()


@pytest.mark.parametrize(
    ("change", "mention"),
    [
        ({"maximum": 15_000}, "whole number of steps"),
        ({"step": 1, "minimum": 0, "maximum": 2**18}, "at most"),
        ({"step": 0}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_step_is_refused(change, mention):
    with pytest.raises(ValidationError, match=mention):
        IntegerColumn.model_validate(LIMIT.model_dump() | change)


def test_a_schema_without_a_step_keeps_its_text_and_digest():
    schema = Schema(name="s", columns=(IntegerColumn(name="n", minimum=0, maximum=9),))
    assert "step" not in schema.to_json()


def test_the_draft_proposes_the_grid_that_nearly_all_cells_have():
    rng = np.random.default_rng(0)
    limit = rng.integers(1, 80, 3000) * 10_000
    limit[:5] = [12_345, 67_890, 327_680, 16_000, 99_999]
    frame = pd.DataFrame(
        {
            "limit": limit,
            "price": rng.integers(0, 300, 3000) + 0.99,
            "dose": rng.integers(0, 90, 3000) / 4,
            "age": rng.integers(0, 90, 3000),
            "fee": np.where(rng.random(3000) < 0.9, 0, rng.integers(1, 90_000, 3000)),
        }
    )
    columns = {column.name: column for column in draft_schema(frame, "t").columns}
    assert (columns["limit"].step, columns["limit"].minimum % 10_000) == (10_000, 0)
    assert (columns["price"].step, columns["price"].minimum) == (1.0, 0.99)
    assert columns["dose"].step == 0.25
    assert columns["age"].step is None
    assert columns["fee"].step is None
