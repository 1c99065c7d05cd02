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
from rich.panel import Panel
from rich.table import Table

from fedsynth_common.cli.options import Force
from fedsynth_common.cli.schema_tools import read_private, tools
from fedsynth_common.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from fedsynth_common.schema import Schema

WARNING = (
    "[bold]This draft is NOT private and not yet a schema to run a study with.[/bold]\n"
    "Its bounds, categories and nullable flags were read off the records, and no privacy budget "
    "paid for that. Before it leaves this machine, have somebody\n"
    " 1. replace bounds by publicly known limits and categories by the public code list,\n"
    " 2. remove any category that could point at a person,\n"
    ' 3. then set "origin" to "declared".'
)

app = typer.Typer(
    help="Draft a public schema from a table, check a table against one, compare and import schemas.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
for command in tools:
    app.command(command.name, epilog=command.epilog)(command.run)
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
        str | None, typer.Option(help="Name of the schema; default: the table's file name.")
    ] = None,
    max_categories: Annotated[
        int, typer.Option(min=1, help="Most categories to list; rarer ones become 'other'.")
    ] = 64,
    force: Force = False,
) -> None:
    """Write a first schema for a person to review. A draft from data is NOT private.

    For example:

      fedsynth schema draft patients.csv --target died

      fedsynth schema draft patients.parquet --out patients.schema.json
    """
    from fedsynth_common.drafting.draft import draft_schema  # pandas: not for --help

    if out.exists() and not force:
        raise InputError(f"{out}: already exists; choose another --out, or --force to replace it")
    frame = read_private(table)
    schema = draft_schema(frame, name or _stem(table), target, max_categories)
    schema.save(out, private=True)  # bounds and categories of real records
    errors = Console(stderr=True)
    errors.print(Panel(WARNING, title="REVIEW BEFORE USE", border_style="red"))
    for hint in _hints(schema, frame):
        errors.print(f"[yellow]hint:[/yellow] {hint}", soft_wrap=True, highlight=False)
    typer.echo(f"wrote {out}: {len(schema.modelled)} columns to model, {len(schema.ids)} ids")


@app.command()
def check(
    table: TableArgument,
    schema: Annotated[Path, typer.Option(help="The schema file.")],
) -> None:
    """Encode a table on this machine and list what the schema does to each column.

    For example:

      fedsynth schema check patients.csv --schema schema.json
    """
    from fedsynth_common.cli.repairs_table import add_column, repairs_table
    from fedsynth_common.encoding.column_fit import ColumnFit
    from fedsynth_common.encoding.encoder import check_columns
    from fedsynth_common.schema import Schema

    declared = Schema.load(schema)
    frame = read_private(table)
    if not {c.name for c in declared.columns} & {str(name) for name in frame.columns}:
        fault = "none of its headings is a column of the schema; is the heading row missing?"
        raise InputError(f"{table}: {fault}")
    check_columns(frame, declared)
    report, faults = repairs_table(), []
    for column in declared.modelled:
        fit = ColumnFit(column)
        fit.add(frame[column.name])
        add_column(report, column, fit.repairs, fit.fault)
        faults.append(fit.fault)
    Console(markup=False, highlight=False).print(report)
    if declared.origin != "declared":
        typer.echo("warning: this schema is a draft from data; review it before a study", err=True)
    problems = [fault for fault in faults if fault]
    if problems:
        raise InputError("\n".join(problems))
    broken = _check_rules(frame, declared)
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


def _hints(schema: "Schema", frame: "pd.DataFrame") -> list[str]:
    """What a draft cannot know and its reviewer should decide."""
    from fedsynth_common.drafting.draft import ID_NAME

    hints = [
        f"column {name!r} repeats values; if it names a person, set person_key and rows_per_person"
        for name in schema.ids
        if frame[name].nunique() < frame[name].notna().sum()
    ]
    hints += [
        f"column {column.name!r} is called like an identifier and would be modelled; if it names "
        'persons or records, declare its kind "id"'
        for column in schema.modelled
        if ID_NAME.fullmatch(column.name)
    ]
    if schema.target is None:
        hints.append("no target was named; add --target if analysts will predict a column")
    return hints


def _stem(table: Path) -> str:
    from fedsynth_common.tables import SUFFIXES

    suffix = next((s for s in SUFFIXES if table.name.lower().endswith(s)), "")
    return table.name[: len(table.name) - len(suffix)] or "table"
