"""Writes MODEL_CARD.md, the privacy statement and the schema in words; nobody edits this file.

The names of studies, tables and sites are texts that somebody else chose. Every text that the
template inserts therefore passes through `plain`. Markdown then shows the text as it is, and the
text cannot start a link, a heading or HTML.
"""

from collections.abc import Sequence
from functools import cache

import jinja2

from fedsynth_common.schema import Schema
from fedsynth_release.statement.privacy_statement import PrivacyStatement
from fedsynth_release.statement.promised import promise_of

NOTES = "\n## What happened\n\n"


def model_card(
    table: Schema,
    statement: PrivacyStatement,
    notes: Sequence[str] = (),
    records: float | None = None,
) -> str:
    """The card as Markdown. Notes are appended as a last section and change nothing else.

    `records` is the (noisy) number of all sites' records, with which δ is compared.
    """
    promise = promise_of(statement, records)
    card = _template().render(table=table, statement=statement, promise=promise)
    if not notes:
        return card
    return card + NOTES + "\n".join(f"- {plain(note)}" for note in notes) + "\n"


def plain(text: str) -> str:
    r"""A text escaped so that Markdown shows it as it is.

    >>> print(plain("<b>ward|1</b> [x](y)"))
    \<b\>ward\|1\</b\> \[x\](y)
    """
    printable = "".join(c if c.isprintable() else "?" for c in text)
    return "".join(f"\\{c}" if c in "\\`*<>[]|#" else c for c in printable)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(  # noqa: S701 - the output is not HTML, and `plain` escapes it
        loader=jinja2.PackageLoader("fedsynth_release.statement"),
        finalize=lambda value: plain(value) if isinstance(value, str) else value,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(listed="; ".join, number=_number, sentence=_sentence)
    return environment.get_template("MODEL_CARD.md.j2")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
