"""Adds a plan's digest or a template to the policy file. Its comments and its order are kept.

The edited text is read before it is written. If it is anything but the old policy with this one entry
added, nothing is written, and the person is asked to add it by hand. The file is replaced
atomically and synced while its folder is locked, so that neither a crash nor a second approval at the
same time loses an approval.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError
from tomlkit.items import Array, InlineTable

from fedsynth_client.budget.policy import Policy, Template
from fedsynth_common.durable import write_durably
from fedsynth_common.errors import InputError
from fedsynth_common.validated import json_of_toml, validated


def add_approval(path: Path, digest: str) -> bool:
    """Approve the plan of this digest in the policy file; False if it was approved before.

    Raises:
        InputError: the policy is faulty or cannot be written, or must be edited by hand.
    """
    with _file_alone(path) as file:
        policy = Policy.load(file)
        if policy.approved_plans == "any" or digest in policy.approved_plans:
            return False
        expected = policy.model_copy(update={"approved_plans": (digest, *policy.approved_plans)})
        _edit(file, expected, "approved_plans", digest)
    return True


def add_template(path: Path, template: Template) -> bool:
    """Allow in the policy file that a plan is repeated; False if it was allowed before.

    Raises:
        InputError: the policy is faulty or cannot be written, or must be edited by hand.
    """
    with _file_alone(path) as file:
        policy = Policy.load(file)
        if template in policy.templates:
            return False
        expected = policy.model_copy(update={"templates": (template, *policy.templates)})
        _edit(file, expected, "templates", template.model_dump())
    return True


Entry = str | dict[str, Any]


def _edit(path: Path, expected: Policy, name: str, entry: Entry) -> None:
    """Write the file with an entry added to one of its lists, if it then reads as expected."""
    text = path.read_text(encoding="utf-8-sig")
    as_json = path.suffix == ".json"
    edited = _edited_json(text, name, entry) if as_json else _edited(text, name, entry)
    if _parsed(edited, path.suffix) != expected:
        shown = entry if isinstance(entry, str) else _inline(entry).as_string()
        raise InputError(
            f"policy {path}: cannot be edited safely; add this to its {name} by hand: {shown}"
        )
    _replace(path, edited)


def _edited(text: str, name: str, entry: Entry) -> str:
    """The TOML text with the entry added as the first of the list; unchanged if that fails.

    >>> _edited("approved_plans = []  # none yet", "approved_plans", "ab")
    'approved_plans = ["ab"]  # none yet'
    """
    try:
        document = tomlkit.parse(text)
    except TOMLKitError:
        return text
    if name not in document:
        document[name] = tomlkit.array()
    entries = document[name]
    if isinstance(entries, Array):
        entries.insert(0, entry if isinstance(entry, str) else _inline(entry))
    return tomlkit.dumps(document)


def _inline(entry: dict[str, Any]) -> InlineTable:
    table = tomlkit.inline_table()
    table.update(entry)
    return table


def _edited_json(text: str, name: str, entry: Entry) -> str:
    fields = json.loads(text)
    fields[name] = [entry, *fields.get(name, ())]
    return json.dumps(fields, indent=2, ensure_ascii=False) + "\n"


def _parsed(text: str, suffix: str) -> Policy | None:
    try:
        content = text if suffix == ".json" else json_of_toml(text, "policy")
        return validated(Policy, content, "policy")
    except InputError:
        return None


def _replace(path: Path, text: str) -> None:
    try:
        write_durably(path, text.encode(), path.stat().st_mode & 0o777)
    except OSError as error:
        raise InputError(f"policy {path}: cannot be written ({error.strerror})") from None


@contextmanager
def _file_alone(path: Path) -> Iterator[Path]:
    """The file itself, while nobody else edits it; a replaced link would leave it unchanged."""
    path = path.resolve()
    with _alone_in(path.parent):
        yield path


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Allow one approval at a time. At the end, what was renamed in the folder is on disk."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise InputError(f"folder {folder}: cannot be read ({error.strerror})") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
