"""Reference pages of the command line, written from the commands themselves.

Every command of the installed distributions gets its own heading, with its arguments, its options,
their defaults and the examples of its help, so that the pages cannot say anything that the command
does not.
"""

import re
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from fedsynth_common.cli.main import build_app
from fedsynth_common.extras import EXTRA_OF_COMMAND, how_to_install


def pages() -> Iterator[tuple[str, str]]:
    """(name, Markdown) of a page for each command that stands directly below `fedsynth`."""
    app: Any = get_command(build_app())
    for name in sorted(app.commands):
        below = app.commands[name]
        yield name, "\n".join([f"# fedsynth {name}", "", *_page(("fedsynth", name), below)]) + "\n"


def _page(path: tuple[str, ...], command: Any) -> Iterator[str]:
    extra = EXTRA_OF_COMMAND.get(path[1])
    if not hasattr(command, "commands"):
        yield from _command(path, command)
    else:
        yield from _prose(command.help or "")
        for name, below in command.commands.items():
            yield f"## {' '.join((*path[1:], name))}"
            yield ""
            yield from _command((*path, name), below)
    if extra is not None:
        yield f"Comes with `{how_to_install(extra)}`."


def _command(path: tuple[str, ...], command: Any) -> Iterator[str]:
    examples = [line for line in (command.epilog or "").split("\n") if line.startswith("fedsynth")]
    yield from _prose(command.help or "")
    arguments = [part for part in command.params if part.param_type_name == "argument"]
    options = [part for part in command.params if part.param_type_name == "option"]
    words = [*path, *(["[OPTIONS]"] if options else []), *(_metavar(part) for part in arguments)]
    yield from ("```text", " ".join(words), "```", "")
    for title, parts in (("Argument", arguments), ("Option", options)):
        if parts:
            yield from (f"| {title} | What it does | Default |", "|---|---|---|")
            yield from (_row(part) for part in parts)
            yield ""
    if examples:
        yield from ("Examples:", "", "```sh", *examples, "```", "")


def _row(part: Any) -> str:
    option = part.param_type_name == "option"
    kind = "" if not option or part.is_flag else f" {_metavar(part)}"
    names = ", ".join(f"`{name}{kind}`" for name in part.opts) if option else f"`{_metavar(part)}`"
    if part.secondary_opts:
        names += ", " + ", ".join(f"`{name}`" for name in part.secondary_opts)
    if option and part.multiple:
        names += " (repeatable)"
    return f"| {names} | {_cell(getattr(part, 'help', None) or '')} | {_default(part)} |"


def _default(part: Any) -> str:
    if part.required:
        return "required"
    value = part.default() if callable(part.default) else part.default
    if value is None or value in ("", (), []):
        return ""
    if getattr(part, "is_flag", False):
        if not part.secondary_opts:
            return ""
        return f"`{part.opts[0] if value else part.secondary_opts[0]}`"
    return f"`{getattr(value, 'value', value)}`"


def _metavar(part: Any) -> str:
    if part.param_type_name == "argument":
        name = str(part.metavar or (part.name or "").upper())
        return name if part.required else f"[{name}]"
    if part.metavar:
        return str(part.metavar)
    choices = getattr(part.type, "choices", None)
    if choices:
        return "|".join(str(getattr(choice, "value", choice)) for choice in choices)
    return str(part.type.name).upper().replace(" RANGE", "")


def _cell(text: str) -> str:
    """Text of a table's cell: on one line, without marks that Markdown would read."""
    line = " ".join(text.split())
    parts = re.split(r"(`[^`]*`)", line)
    return "".join(part if part.startswith("`") else _plain(part) for part in parts).replace(
        "|", "\\|"
    )


def _plain(text: str) -> str:
    return re.sub(r"([<>*_\[\]])", r"\\\1", text.replace("\\[", "["))


def _prose(text: str) -> Iterator[str]:
    """The help's paragraphs; those that begin with `fedsynth` are examples to be copied."""
    code: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        lines = [line.strip() for line in paragraph.split("\n")]
        if lines[0].startswith("fedsynth "):
            code += lines
        else:
            yield from _block(code)
            code = []
            yield from (_cell(paragraph).replace("\\|", "|"), "")
    yield from _block(code)


def _block(lines: list[str]) -> Iterator[str]:
    if lines:
        yield from ("```sh", *lines, "```", "")
