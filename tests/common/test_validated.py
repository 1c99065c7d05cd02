"""Files that follow a model: each fault is one ordinary sentence that names the field."""

import json
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, model_validator

from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_LINE, MAX_SETTINGS_BYTES
from fedsynth_common.validated import read_model, read_settings, read_text, validated


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class Number(Strict):
    kind: Literal["number"] = "number"
    minimum: float


class Word(Strict):
    kind: Literal["word"] = "word"
    texts: Annotated[tuple[Annotated[str, Field(max_length=3)], ...], Field(min_length=1)]


class Address(Strict):
    port: Annotated[int, Field(ge=1, le=65535)]


class Settings(Strict):
    name: str = "x"
    rate: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = 0.5
    address: Address | None = None
    approved: tuple[Annotated[str, Field(pattern="^a+$")], ...] | Literal["any"] = "any"
    columns: tuple[Annotated[Number | Word, Field(discriminator="kind")], ...] = ()
    keys: dict[str, Annotated[str, Field(min_length=2)]] = Field(default={})
    open: bool = False

    @model_validator(mode="after")
    def _no_secret(self):
        if self.name == "secret":
            raise ValueError("name must not be that")
        return self


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "this is not valid JSON (EOF while parsing an object at line 1 column 1)"),
        ("[]", "expected a group of named fields"),
        ('{"name": "secret"}', "name must not be that"),
        ('{"nmae": "x"}', "nmae: there is no such field; the known fields are name, rate, address, "
         "approved, columns, keys, open"),
        ('{"address": {"prot": 3}}', "address.port: this required field is missing; "
         "address.prot: there is no such field; the known fields are port"),
        ('{"address": {"port": 0}}', "address.port: expected a number of at least 1"),
        ('{"address": {"port": 1.5}}', "address.port: expected a whole number"),
        ('{"address": 1}', "address: expected a group of named fields"),
        ('{"rate": 0}', "rate: expected a number above 0"),
        ('{"rate": "0.1"}', "rate: expected a number"),
        ('{"rate": NaN}', "rate: expected a finite number"),
        ('{"name": 7}', "name: expected a text"),
        ('{"open": 1}', "open: expected true or false"),
        ('{"approved": "none"}', "approved: expected a list, or expected 'any'"),
        ('{"approved": ["a", "b"]}', "approved.1: expected a text of the form ^a+$; "
         "approved: expected 'any'"),
        ('{"columns": [{"kind": "number", "minimum": "x"}]}', "columns.0.minimum: expected a number"),
        ('{"columns": [{"kind": "word", "texts": []}]}', "columns.0.texts: expected 1 or more entries"),
        ('{"columns": [{"kind": "word", "texts": ["abcd"]}]}',
         "columns.0.texts.0: expected a text of 3 or fewer characters; "
         "columns.0.texts: expected 1 or more entries"),
        ('{"columns": [{"kind": "word", "texts": ["a"], "minimum": 1}]}',
         "columns.0.minimum: there is no such field; the known fields are kind, texts"),
        ('{"columns": [{"kind": "memo"}]}',
         "columns.0: the field 'kind' must be one of 'number', 'word'"),
        ('{"columns": [{}]}', "columns.0: the required field 'kind' is missing"),
        ('{"keys": {"a": "b"}}', "keys.a: expected a text of 2 or more characters"),
    ],
)  # fmt: skip
def test_a_fault_is_a_sentence_about_a_field(text, said):
    with pytest.raises(InputError) as caught:
        validated(Settings, text, "s.json")
    assert str(caught.value) == f"s.json: {said}"


def test_only_the_first_faults_are_listed_and_the_others_are_counted():
    for many, more in ((50, "42 more faults"), (9, "1 more fault")):
        text = json.dumps({f"f{k}": 1 for k in range(many)})
        with pytest.raises(InputError, match=rf"f7: there is no .*; and {more}$"):
            validated(Settings, text, "s.json")


def test_a_message_repeats_no_value_and_nothing_that_a_terminal_obeys():
    with pytest.raises(InputError) as caught:
        validated(Settings, '{"rate": "private-value", "a\\u001b[2K": 1}', "s.json")
    assert "private-value" not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_toml_and_json_are_read_alike(tmp_path):
    (tmp_path / "s.toml").write_text('name = "n"\napproved = ["aa"]\n[address]\nport = 3\n')
    (tmp_path / "s.json").write_text('{"name": "n", "approved": ["aa"], "address": {"port": 3}}')
    toml, json = (read_settings(tmp_path / f"s.{kind}", Settings, "s") for kind in ("toml", "json"))
    assert toml == json
    assert toml.address.port == 3


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("s.toml", b"name = ", r"^settings: not valid TOML \("),
        ("s.toml", b"name = 2020-01-01", "^settings: not valid TOML"),
        ("s.toml", b"\xff", r"^settings: not UTF-8 text \(byte 0\)"),
        ("s.toml", b"#" * (MAX_SETTINGS_BYTES + 1), "longer than"),
        ("s.toml", b"#" * (MAX_LINE + 1), "^settings: a line is longer than"),
        ("s.yaml", b"", r"^settings: expected a file ending in \.json or \.toml"),
        ("none.toml", None, "^settings: cannot be read"),
    ],
)
def test_files_that_cannot_be_read_as_settings(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=said):
        read_settings(tmp_path / name, Settings, "settings", short_lines=True)


def test_long_lines_are_refused_only_where_somebody_else_may_have_written_them(tmp_path):
    (tmp_path / "s.toml").write_text("#" * (MAX_LINE + 1))
    assert read_settings(tmp_path / "s.toml", Settings, "settings") == Settings()


def test_a_model_file_names_itself_and_what_it_is_not(tmp_path):
    path = tmp_path / "e.json"
    path.write_text('{"open": 2}')
    with pytest.raises(InputError, match=r"e\.json: not an example: open: expected true or false$"):
        read_model(path, Settings, 100, "not an example")
    with pytest.raises(InputError, match="longer than the 5 bytes"):
        read_model(path, Settings, 5, "not an example")


def test_a_byte_order_mark_is_left_out(tmp_path):
    (tmp_path / "t").write_bytes(b"\xef\xbb\xbfa")
    assert read_text(tmp_path / "t", 10) == "a"
