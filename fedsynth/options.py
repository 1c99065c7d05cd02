"""The options of a study, checked: an argument of a wrong type is answered with a sentence."""

from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Literal, get_args

from fedsynth.notices import WrongTypeError
from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_REPAIRED
from fedsynth_common.schema import Schema

Variant = Literal["auto", "both", "listen", "marginals", "three-way", "gan"]
Trust = Literal["local", "secure-sum"]
Device = Literal["cpu", "cuda"]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Everything about a study that is not data; `fit` says what each option means."""

    epsilon: float = 1.0
    delta: float = 1e-5
    target: str | None = None
    schema: Schema | str | Path | None = None
    sites: int = 5
    site_column: str | None = None
    partition: str = "iid"
    person_key: str | None = None
    order: str | None = None
    records_per_site: int | None = None
    trust: Trust = "local"
    colluders: int | None = None
    site_marginals: bool = False
    variant: Variant = "auto"
    max_repaired: float = MAX_REPAIRED
    seed: int | None = None
    device: Device = "cpu"
    quick: bool = False

    def __post_init__(self) -> None:
        for name in ("epsilon", "delta", "max_repaired"):
            number(name, getattr(self, name))
        whole("sites", self.sites, 1)
        for name, least in (("records_per_site", 1), ("colluders", 1), ("seed", 0)):
            whole(name, getattr(self, name), least, optional=True)
        for name in ("target", "site_column", "person_key", "order"):
            text(name, getattr(self, name), optional=True)
        text("partition", self.partition)
        one_of("trust", self.trust, get_args(Trust))
        one_of("variant", self.variant, get_args(Variant))
        one_of("device", self.device, get_args(Device))
        flag("quick", self.quick)
        flag("site_marginals", self.site_marginals)
        if not isinstance(self.schema, Schema | str | Path | None):
            raise wrong("schema", "a fedsynth.Schema or the path of a schema file", self.schema)
        if not 0 <= self.max_repaired <= 1:
            raise InputError(f"max_repaired {self.max_repaired:g}: expected a share from 0 to 1")

    @property
    def declared(self) -> Schema | None:
        """The schema that was given, read from its file if need be.

        Raises:
            InputError: the file cannot be read or is no schema.
        """
        if self.schema is None or isinstance(self.schema, Schema):
            return self.schema
        return Schema.load(self.schema)

    def to_dict(self) -> dict[str, Any]:
        """The options by name; a schema is given as its name."""
        fields = {k: v for k, v in vars(self).items() if k != "schema"}
        given = self.schema
        shown = given.name if isinstance(given, Schema) else given and str(given)
        return {**fields, "schema": shown}


def wrong(name: str, expected: str, value: object) -> WrongTypeError:
    """The error for an argument of a wrong type."""
    more = "; call its to_pandas()" if hasattr(value, "to_pandas") else ""
    return WrongTypeError(f"{name}: expected {expected}, got {_kind(value)}{more}")


def _kind(value: object) -> str:
    kind = type(value)
    module = kind.__module__.partition(".")[0]
    return kind.__name__ if module == "builtins" else f"{module}.{kind.__name__}"


def number(name: str, value: object) -> None:
    """Refuse what is no number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise wrong(name, "a number such as 1.0", value)


def whole(name: str, value: object, least: int, *, optional: bool = False) -> None:
    """Refuse what is no whole number, or one below `least`."""
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise wrong(name, f"a whole number from {least} on{' or None' if optional else ''}", value)
    if value < least:
        raise InputError(f"{name} {value}: expected a whole number from {least} on")


def text(name: str, value: object, *, optional: bool = False) -> None:
    """Refuse what is no text."""
    if not isinstance(value, str) and not (optional and value is None):
        what = "the name of a column" if optional else "a text"
        raise wrong(name, what, value)


def flag(name: str, value: object) -> None:
    """Refuse what is neither True nor False."""
    if not isinstance(value, bool):
        raise wrong(name, "True or False", value)


def one_of(name: str, value: object, known: tuple[str, ...]) -> None:
    """Refuse what is none of the known texts."""
    listed = ", ".join(map(repr, known))
    if not isinstance(value, str):
        raise wrong(name, f"one of {listed}", value)
    if value not in known:
        raise InputError(f"{name} {value!r}: expected one of {listed}")
