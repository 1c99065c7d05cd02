"""Reads a file that follows a pydantic model, and explains its faults in ordinary sentences.

Every file of a study is read here: schema, plan, policy, configuration, statement. All of them
therefore fail alike. No more of a file is read than its limit (`limits.py`). Each faulty field is
named together with what was expected of it, and the known names are listed where a field is
misspelt. These sentences repeat no value of the file; a model's own validators may quote a name.
"""

import json
import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from fedsynth_common.errors import InputError
from fedsynth_common.fault_places import Place, located
from fedsynth_common.limits import MAX_SETTINGS_BYTES, printable, read_limited, within_lines

M = TypeVar("M", bound=BaseModel)
_SHOWN_FAULTS, _FAULT, _PLACE = 8, 250, 100
"""How many faults are told, and the most characters of one fault and of its place."""

_EXPECTED = {
    "missing": "this required field is missing",
    "json_invalid": "this is not valid JSON ({error})",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "finite_number": "expected a finite number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "string_type": "expected a text",
    "path_type": "expected a path",
    "literal_error": "expected {expected}",
    "enum": "expected {expected}",
    "greater_than": "expected a number above {gt}",
    "greater_than_equal": "expected a number of at least {ge}",
    "less_than": "expected a number below {lt}",
    "less_than_equal": "expected a number of at most {le}",
    "string_too_short": "expected a text of {min_length} or more characters",
    "string_too_long": "expected a text of {max_length} or fewer characters",
    "string_pattern_mismatch": "expected a text of the form {pattern}",
    "too_short": "expected {min_length} or more entries",
    "too_long": "expected {max_length} or fewer entries",
    "tuple_type": "expected a list",
    "list_type": "expected a list",
    "dict_type": "expected a group of named fields",
    "model_type": "expected a group of named fields",
    "union_tag_not_found": "the required field {discriminator} is missing",
    "union_tag_invalid": "the field {discriminator} must be one of {expected_tags}",
}
"""What a fault of each of pydantic's types says. Others keep the words of pydantic."""


def read_text(path: Path, most: int, source: str = "") -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Args:
        path: The file.
        most: The most bytes that such a file may have.
        source: The name that messages give the file; by default its path.

    Raises:
        InputError: the file is missing, unreadable, too long, or not UTF-8.
    """
    source = source or str(path)
    try:
        return read_limited(path, most).decode("utf-8-sig")
    except OSError as error:
        raise InputError(f"{source}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: not UTF-8 text (byte {error.start})") from None


def read_model(path: Path, model: type[M], most: int, fault: str) -> M:
    """Read a JSON file that a program wrote.

    Args:
        path: The file.
        model: The fields that it has.
        most: The most bytes that such a file may have.
        fault: What messages say of a file that is not valid, such as "not an evaluation".

    Raises:
        InputError: the file cannot be read, or `fault` and what is wrong with each faulty field.
    """
    return validated(model, read_text(path, most), f"{path}: {fault}")


def read_settings(path: Path, model: type[M], source: str, *, short_lines: bool = False) -> M:
    """Read what a person wrote, in TOML or JSON, as the name of the file says.

    Args:
        path: A file that ends in .toml or .json.
        model: The fields that it may have.
        source: The name that messages give the file.
        short_lines: Whether to refuse lines longer than `limits.MAX_LINE`, as is necessary where
            somebody else may have written the file.

    Raises:
        InputError: the file cannot be read as such, or naming every faulty field.
    """
    if path.suffix not in {".json", ".toml"}:
        raise InputError(f"{source}: expected a file ending in .json or .toml")
    text = read_text(path, MAX_SETTINGS_BYTES, source)
    if short_lines:
        within_lines(text.encode(), source)
    return validated(model, text if path.suffix == ".json" else json_of_toml(text, source), source)


def json_of_toml(text: str, source: str) -> str:
    """A TOML text as JSON.

    Raises:
        InputError: it is not valid TOML, or it holds a date or time.
    """
    try:
        return json.dumps(tomllib.loads(text))
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{source}: {printable(f'not valid TOML ({error})')}") from None


def validated(model: type[M], text: bytes | str, source: str) -> M:
    """The model that a JSON text describes.

    Raises:
        InputError: `source`, and what is wrong with each faulty field.
    """
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        lines = (
            f"{dotted(place)}: {fault}" if place else fault
            for place, fault in faults_of(error, model)
        )
        raise InputError(f"{source}: {'; '.join(lines)}") from None


def faults_of(error: ValidationError, model: type[BaseModel]) -> list[tuple[Place, str]]:
    """The place of each of the first faults, and a sentence that says what is wrong there.

    The place of a fault of the whole file is empty. All together are short, whatever the file.
    """
    every = error.errors(include_input=False, include_url=False)
    sentences: dict[Place, list[str]] = {}
    for one in every[:_SHOWN_FAULTS]:
        place, inside = located(model, one["loc"])
        said = sentences.setdefault(place, [])
        sentence = printable(_sentence(one, inside), _FAULT)
        if sentence not in said:  # each member of a union says what it would accept
            said.append(sentence)
    listed = [(place, printable(", or ".join(said), _FAULT)) for place, said in sentences.items()]
    if (more := len(every) - _SHOWN_FAULTS) > 0:
        listed.append(((), f"and {more} more fault{'s' * (more > 1)}"))
    return listed


def first_fault(error: ValidationError, model: type[BaseModel]) -> str:
    """The first fault as one sentence, without its place, for a model that a program has built."""
    return faults_of(error, model)[0][1]


def dotted(place: Place) -> str:
    """A place as messages print it.

    >>> dotted(("columns", 3, "minimum"))
    'columns.3.minimum'
    """
    return printable(".".join(map(str, place)), _PLACE)


def _sentence(fault: Any, inside: type[BaseModel] | None) -> str:
    if fault["type"] == "extra_forbidden" and inside is not None:
        return f"there is no such field; the known fields are {', '.join(inside.model_fields)}"
    template = _EXPECTED.get(fault["type"])
    if template is None:
        return str(fault["msg"]).removeprefix("Value error, ")
    return template.format(**{name: _short(bound) for name, bound in fault.get("ctx", {}).items()})


def _short(bound: Any) -> Any:
    """A bound without a decimal point that it does not need."""
    return int(bound) if isinstance(bound, float) and bound.is_integer() else bound
