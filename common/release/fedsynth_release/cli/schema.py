"""`fedsynth schema`: write a first schema from a table, and check a table against a schema.

The commands that compare, import and describe schemas are in `schema_tools.py`. The two here read a
table on this machine and print to this terminal only. What they print (repair counts,
drafted bounds and categories) are facts about the records: it is for the people who may see them.
Even so no error quotes a heading that could be a record, in a file without its heading row.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from fedsynth_common.cli.options import DateOrder, DecimalText, DelimiterText, EncodingText, Force
from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_REPAIRED
from fedsynth_release.cli.schema_merge import merge
from fedsynth_release.cli.schema_tools import chunks_private, read_private, tools

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from fedsynth_common.schema import Schema
    from fedsynth_release.drafting.notes import Note

WARNING = (
    "[bold]This draft is NOT private and not yet a schema to run a study with.[/bold]\n"
    "Its bounds, categories and nullable flags were read off the records, and no privacy budget "
    "paid for that. Before it leaves this machine, have somebody\n"
    " 1. replace bounds by publicly known limits and categories by the public code list,\n"
    " 2. remove any category that could point at a person,\n"
    ' 3. then set "origin" to "declared".'
)

app = typer.Typer(
    help="Draft a public schema from a table, check a table, and compare or import schemas.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for command in tools:
    app.command(command.name, epilog=command.epilog)(command.run)
app.command(
    epilog="Example:  fedsynth schema merge north.json south.json --drop ward --out schema.json"
)(merge)
TableArgument = Annotated[
    Path, typer.Argument(metavar="TABLE", help="The records: .csv, .csv.gz or .parquet.")
]


@app.command()
def draft(
    table: TableArgument,
    target: Annotated[
        str | None, typer.Option(help="The column that analysts will want to predict.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where to write the schema.")] = Path("schema.json"),
    name: Annotated[
        str | None,
        typer.Option(help="Name of the schema. By default the name of the table's file."),
    ] = None,
    max_categories: Annotated[
        int,
        typer.Option(
            min=1, help="The most categories to list for a column. Rarer ones become 'other'."
        ),
    ] = 64,
    delimiter: DelimiterText = None,
    encoding: EncodingText = None,
    decimal: DecimalText = None,
    date_order: DateOrder = None,
    person_key: Annotated[
        str | None,
        typer.Option(help="The column that names the person, if a row is an event of a person."),
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(help="The column that orders a person's events. It holds a date or a number."),
    ] = None,
    force: Force = False,
) -> None:
    """Write a first schema for a person to review. A draft from data is NOT private.

    The table is read in pieces and may be larger than memory. For each column the command says what
    is lost, withheld or guessed.

    With --person-key and --order the draft is of persons with histories (docs/HISTORIES.md).

    For example:

      fedsynth schema draft patients.csv --target died

      fedsynth schema draft export.csv --delimiter ';' --decimal , --date-order dmy

      fedsynth schema draft visits.parquet --person-key person_id --order admitted
    """
    import pandas as pd  # not for --help

    from fedsynth_release.cli.csv_dialect import dialect_of
    from fedsynth_release.drafting.draft import draft as drafted
    from fedsynth_release.drafting.histories import with_histories
    from fedsynth_release.drafting.wishes import wishes_of

    if (person_key is None) != (order is None):
        raise InputError("--person-key and --order: give both, or neither")

    if out.exists() and not force:
        raise InputError(f"{out}: already exists; choose another --out, or --force to replace it")
    wishes = wishes_of(target, max_categories, date_order, decimal, person_key, order)
    dialect = dialect_of(table, delimiter, encoding)
    found = drafted(lambda: chunks_private(table, dialect), name or _stem(table), wishes)
    schema, frame = found.schema, pd.DataFrame()
    if person_key is not None and order is not None:
        frame = read_private(table, dialect)
        schema = with_histories(schema, frame, person_key, order)
    schema.save(out, private=True)  # bounds and categories of real records
    errors = Console(stderr=True)
    errors.print(Panel(WARNING, title="REVIEW BEFORE USE", border_style="red"))
    show_notes(found.notes, errors)
    if schema.target is None:
        hint = "no target was named; add --target if analysts will predict a column"
        errors.print(f"[yellow]hint:[/yellow] {hint}", soft_wrap=True, highlight=False)
    typer.echo(f"wrote {out}: {counted(schema)}")
    _show_histories(schema, frame)
    typer.echo(f"next     review {out} (docs/SCHEMA.md), then")
    typer.echo(f"         fedsynth schema check {table} --schema {out}")


def counted(schema: "Schema") -> str:
    """How many columns a schema has of which sort."""
    modelled, all_columns = len(schema.modelled), len(schema.columns)
    rest = schema.unmodelled
    left = ", ".join(f"{column.name} ({column.in_drawn_tables})" for column in rest)
    text = f"{all_columns} columns, {modelled} to model, {len(schema.ids)} ids"
    return f"{text}; not modelled: {left}" if rest else text


def show_notes(notes: "Sequence[Note]", console: Console) -> None:
    """Print what a draft tells its reader, warnings first."""
    colours = {"warning": "bold red", "hint": "yellow"}
    for weight, colour in colours.items():
        for note in notes:
            if note.weight == weight:
                line = f"[{colour}]{weight}:[/{colour}] {escape(str(note))}"
                console.print(line, soft_wrap=True, highlight=False)


@app.command()
def check(
    table: TableArgument,
    schema: Annotated[Path, typer.Option(help="The schema file.")],
    max_repaired: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            help="The largest share of a column's cells that may not fit, as in site.toml.",
        ),
    ] = MAX_REPAIRED,
    delimiter: DelimiterText = None,
    encoding: EncodingText = None,
) -> None:
    """Encode a table on this machine and list what the schema does to each column.

    A table that `site check` would refuse because of its cells is refused here too.

    For example:

      fedsynth schema check patients.csv --schema schema.json
    """
    from fedsynth_common.cli.repairs_table import add_column, repairs_table
    from fedsynth_common.encoding.column_fit import ColumnFit
    from fedsynth_common.encoding.encoder import check_columns
    from fedsynth_common.schema import Schema
    from fedsynth_release.cli.csv_dialect import dialect_of

    declared = Schema.load(schema)
    frame = read_private(table, dialect_of(table, delimiter, encoding))
    if not {c.name for c in declared.columns} & {str(name) for name in frame.columns}:
        fault = "none of its headings is a column of the schema; is the heading row missing?"
        raise InputError(f"{table}: {fault}")
    check_columns(frame, declared)
    report, faults = repairs_table(), []
    for column in declared.modelled:
        fit = ColumnFit(column)
        fit.add(frame[column.name])
        add_column(report, column, fit.repairs, fit.fault)
        faults.append(fit.problem(len(frame), max_repaired))
    Console(markup=False, highlight=False).print(report)
    if declared.origin != "declared":
        typer.echo("warning: this schema is a draft from data; review it before a study", err=True)
    problems = [fault for fault in faults if fault]
    if problems:
        raise InputError("\n".join(problems))
    broken = _check_rules(frame, declared)
    _show_histories(declared, frame)
    typer.echo(f"{table}: fits the schema" + (", but breaks rules" if broken else ""))


def _check_rules(frame: "pd.DataFrame", schema: "Schema") -> int:
    """Print how many records break each rule; the sum."""
    from fedsynth_common.encoding.violations import rule_violations

    if not schema.rules:
        return 0
    counts = rule_violations(frame, schema)
    report = Table(title="Records that break a rule (private: for this site only)")
    report.add_column("rule", overflow="fold")
    report.add_column("records", justify="right", no_wrap=True)
    for name, count in counts.items():
        report.add_row(name, str(count or "-"))
    Console().print(report)
    return sum(counts.values())


def _show_histories(schema: "Schema", frame: "pd.DataFrame") -> None:
    """Print what belongs to persons and what to events, and whom the cap cuts."""
    from fedsynth_common.encoding.values import as_ordinal
    from fedsynth_common.schema import OrderedColumn
    from fedsynth_release.drafting.histories import EventOrder

    histories, key = schema.histories, schema.person_key
    if histories is None or key is None:
        return
    order = schema.column(histories.order)
    if key not in frame or not isinstance(order, OrderedColumn):
        raise InputError(f"column {key!r}: the schema's person key is missing from the table")
    events = EventOrder.of(frame, key, as_ordinal(frame[histories.order], order))
    persons, most = len(events.sizes), histories.max_events
    static = [c.name for c in schema.modelled if c.name not in histories.events]
    typer.echo(
        f"persons  {persons:,} with {len(frame):,} events, at most {events.sizes.max():,} each"
    )
    typer.echo(f"static   {', '.join(static) or 'no column'}")
    typer.echo(f"events   {', '.join(histories.events)}; ordered by {histories.order}")
    typer.echo(f"growing  {', '.join(histories.grows) or 'no column'}")
    typer.echo(f"gaps     at most {histories.largest_gap:,} in units of {histories.order}")
    fewer = max(1, most // 2)
    typer.echo(
        f"cap      max_events {most} cuts {events.cut(most):,} of {persons:,} persons; {fewer} would "
        f"cut {events.cut(fewer):,}. A longer cap loses fewer events and takes longer to fit"
    )


def _stem(table: Path) -> str:
    from fedsynth_common.tables import SUFFIXES

    suffix = next((s for s in SUFFIXES if table.name.lower().endswith(s)), "")
    return table.name[: len(table.name) - len(suffix)] or "table"
