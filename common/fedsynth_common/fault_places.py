"""Finds the place in a file that a fault of pydantic is about (`validated.py` words the fault)."""

from collections.abc import Iterable
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

Place = tuple[str | int, ...]


def located(
    model: type[BaseModel], loc: Iterable[str | int]
) -> tuple[Place, type[BaseModel] | None]:
    """Where in the file a fault of pydantic is, and the innermost model around it.

    Pydantic's own place also names the member of a union that it tried, which a reader of the file
    does not see there.
    """
    kinds: list[Any] = [model]
    place: list[str | int] = []
    inside: type[BaseModel] | None = model
    for part in loc:
        chosen = [kind for kind in kinds if part in _labels(kind)] if len(kinds) > 1 else []
        if chosen:
            kinds = chosen
            continue
        below = [inner for kind in kinds for inner in _below(kind, part)]
        models = [kind for kind in kinds if _is_model(kind)]
        inside = models[0] if len(models) == 1 else None
        if below or models or not kinds:
            place.append(part)
            kinds = [member for kind in below for member in _members(kind)]
    return tuple(place), inside


def _below(kind: Any, part: str | int) -> list[Any]:
    """The declared type of one field of a model, or of the entries of a list or mapping."""
    if _is_model(kind):
        field = kind.model_fields.get(part)
        return [] if field is None else [field.annotation]
    origin, arguments = get_origin(kind), get_args(kind)
    if isinstance(part, int) and origin in (tuple, list):
        return (
            [arguments[0]] if origin is list or Ellipsis in arguments else [*arguments[part:]][:1]
        )
    return [arguments[1]] if origin is dict else []


def _members(kind: Any) -> list[Any]:
    """The members of a union, the type itself where it is none."""
    if get_origin(kind) is Annotated:
        return _members(get_args(kind)[0])
    origin = get_origin(kind)
    if origin is UnionType or origin is Union:
        return [inner for member in get_args(kind) for inner in _members(member)]
    return [kind]


def _labels(kind: Any) -> set[Any]:
    """The names by which pydantic may call a member of a union."""
    if not _is_model(kind):
        return set()
    return {
        kind.__name__,
        *(
            field.default
            for field in kind.model_fields.values()
            if get_origin(field.annotation) is Literal
        ),
    }


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
