"""`fedsynth schema diff|import|codes|json-schema`: work on schema files alone.

None of these reads a record, except `import --table`, which drafts what the foreign file leaves open
and says so.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedsynth_common.cli.options import AsJson, Force
from fedsynth_common.durable import write_output
from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_SCHEMA_BYTES, read_limited

if TYPE_CHECKING:
    import pandas as pd

    from fedsynth_common.tables import Dialect


class Origin(StrEnum):
    """Programs whose schemas can be imported."""

    SDV = "sdv"
    FRICTIONLESS = "frictionless"


def diff(
    first: Annotated[Path, typer.Argument(help="A schema file.")],
    second: Annotated[Path, typer.Argument(help="The schema file to compare it with.")],
    as_json: AsJson = False,
) -> None:
    """List what differs between two schemas. The exit code is 1 if anything does."""
    from fedsynth_common.schema import Schema  # pydantic: not for --help
    from fedsynth_release.schema_files.difference import differences

    changes = differences(Schema.load(first), Schema.load(second))
    if as_json:
        typer.echo(json.dumps([asdict(one) for one in changes], ensure_ascii=False))
    else:
        for one in changes:
            typer.echo(str(one))
        typer.echo(f"{len(changes)} difference(s)" if changes else "the schemas are equal")
    if changes:
        raise typer.Exit(1)


def import_schema(
    file: Annotated[Path, typer.Argument(help="The file that the other program wrote (JSON).")],
    origin: Annotated[Origin, typer.Option("--from", help="Which program wrote it.")],
    table: Annotated[
        Path | None,
        typer.Option(
            help="A table from which to draft what the file leaves open. The result is then NOT private."
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where to write the schema.")] = Path("schema.json"),
    force: Force = False,
) -> None:
    """Write a schema from SDV metadata or a Frictionless table schema, for a person to review."""
    from fedsynth_release.schema_files.foreign import from_frictionless, from_sdv

    _check_free(out, force)
    document = _json(file)
    name = file.name.split(".")[0] or "table"
    frame = None if table is None else read_private(table)
    reader = {Origin.SDV: from_sdv, Origin.FRICTIONLESS: from_frictionless}[origin]
    try:
        schema = reader(document, name, frame)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    schema.save(out, private=schema.origin != "declared")
    typer.echo(f"wrote {out}: {len(schema.modelled)} columns to model, origin: {schema.origin}")


def codes(
    schema: Annotated[Path, typer.Argument(help="The schema file.")],
    column: Annotated[str, typer.Argument(help="The column that holds the codes.")],
    listed: Annotated[
        Path,
        typer.Option(
            "--from", help="The public code list, a CSV file with the columns code,parent[,label]."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Where to write the new schema.")],
    force: Force = False,
) -> None:
    """Declare a column's categories, and their groups, from a public code list."""
    from fedsynth_common.schema import Schema
    from fedsynth_release.schema_files.code_list import read_code_list, with_codes

    _check_free(out, force)
    changed = with_codes(Schema.load(schema), column, read_code_list(listed))
    changed.save(out)
    parents = next(c.parents for c in changed.modelled if c.name == column)  # type: ignore[union-attr]
    typer.echo(
        f"wrote {out}: column {column!r} has {len(parents)} codes in {len(set(parents))} groups"
    )


def describe(
    out: Annotated[
        Path | None, typer.Option(help="Where to write it. By default it is printed.")
    ] = None,
    force: Force = False,
) -> None:
    """Print the JSON Schema of schema files, for editors and other programs."""
    from fedsynth_release.schema_files.json_schema import json_schema

    text = json.dumps(json_schema(), ensure_ascii=False, indent=1) + "\n"
    if out is None:
        typer.echo(text, nl=False)
        return
    _check_free(out, force)
    write_output(out, text)
    typer.echo(f"wrote {out}")


@dataclass(frozen=True)
class Command:
    """One sub-command of `fedsynth schema`."""

    name: str
    run: Callable[..., None]
    epilog: str


tools = (
    Command("diff", diff, "Example:  fedsynth schema diff approved.json proposed.json"),
    Command(
        "import",
        import_schema,
        "Example:  fedsynth schema import --from frictionless datapackage.json --out schema.json",
    ),
    Command(
        "codes",
        codes,
        "Example:  fedsynth schema codes schema.json diagnosis --from icd10.csv --out coded.json",
    ),
    Command("json-schema", describe, "Example:  fedsynth schema json-schema --out fedsynth.json"),
)


def read_private(table: Path, dialect: "Dialect | None" = None) -> "pd.DataFrame":
    """The table.

    Raises:
        InputError: it cannot be used; a repeated heading is not quoted, it could be a cell.
    """
    import pandas as pd

    return pd.concat(list(chunks_private(table, dialect)), ignore_index=True)


def chunks_private(table: Path, dialect: "Dialect | None" = None) -> "Iterator[pd.DataFrame]":
    """The table in pieces of a few megabytes.

    Raises:
        InputError: as `read_private`.
    """
    from fedsynth_common.tables import read_chunks

    try:
        yield from read_chunks(table, dialect)
    except InputError as error:
        if "occurs more than once" not in str(error):
            raise
        fault = "two columns have the same heading, or the heading row is missing"
        raise InputError(f"{table}: {fault}") from None


def _check_free(out: Path, force: bool) -> None:
    if out.exists() and not force:
        raise InputError(f"{out}: already exists; choose another --out, or --force to replace it")


def _json(file: Path) -> Any:
    try:
        return json.loads(read_limited(file, MAX_SCHEMA_BYTES).decode("utf-8-sig"))
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError):
        raise InputError(f"{file}: not a JSON file") from None
