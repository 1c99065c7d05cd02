"""`fedsynth schema merge`: one schema out of the reviewed drafts of several sites."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from fedsynth_common.cli.options import AsJson, Force
from fedsynth_common.errors import InputError

if TYPE_CHECKING:
    from fedsynth_release.schema_files.merging.merge import Merged


def merge(
    drafts: Annotated[
        list[Path],
        typer.Argument(metavar="DRAFT...", help="The reviewed drafts, one of each site."),
    ],
    out: Annotated[Path, typer.Option(help="Where to write the schema.")] = Path("schema.json"),
    name: Annotated[str | None, typer.Option(help="Name of the schema.")] = None,
    target: Annotated[
        str | None, typer.Option(help="The column that analysts will want to predict.")
    ] = None,
    take: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN=DRAFT", help="Take this column as this draft declares it."),
    ] = None,
    drop: Annotated[
        list[str] | None, typer.Option(metavar="COLUMN", help="Leave this column out.")
    ] = None,
    keep_rule: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Keep this rule although a draft does not have it."),
    ] = None,
    unreviewed: Annotated[
        bool,
        typer.Option(
            "--unreviewed",
            help="Merge drafts too that nobody has reviewed, of tables that are public. What uses the "
            "schema then says that it is not private.",
        ),
    ] = False,
    as_json: AsJson = False,
    force: Force = False,
) -> None:
    """Merge the reviewed drafts of several sites into one schema, for a person to review.

    A draft is public once it is sent: it must hold only what the site's people have reviewed. Bounds
    become the widest, categories the union, and rules those that all drafts have. Where the drafts
    contradict each other nothing is written; each conflict is listed with what to do, and the exit code
    is 1.
    """
    from fedsynth_common.schema import Schema  # pydantic: not for --help
    from fedsynth_release.schema_files.merging.merge import Decisions
    from fedsynth_release.schema_files.merging.merge import merge as merged_of

    if out.exists() and not force:
        raise InputError(f"{out}: already exists; choose another --out, or --force to replace it")
    if len(set(drafts)) < len(drafts):
        raise InputError("a draft is given twice; give each site's draft once")
    merged = merged_of(
        {str(path): Schema.load(path) for path in drafts},
        Decisions(
            name=name,
            target=target,
            taken=_taken(take or []),
            dropped=drop or [],
            kept_rules=keep_rule or [],
            unreviewed=unreviewed,
        ),
    )
    if merged.schema is not None:
        merged.schema.save(out, private=merged.schema.origin != "declared")
    _show(merged, out, as_json)
    if merged.schema is None:
        raise typer.Exit(1)


def _taken(options: list[str]) -> dict[str, str]:
    """The draft by column; a column's name may hold an equals sign."""
    taken = {}
    for option in options:
        column, sign, draft = option.rpartition("=")
        if not sign:
            raise InputError(f"--take {option!r}: expected COLUMN=DRAFT, such as 'age=north.json'")
        taken[column] = str(Path(draft))
    return taken


def _show(merged: "Merged", out: Path, as_json: bool) -> None:
    """Print the findings, conflicts first; to standard output as JSON where a script reads them."""
    if as_json:
        listed = {
            "written": None if merged.schema is None else str(out),
            "conflicts": [asdict(finding) for finding in merged.conflicts],
            "review": [asdict(finding) for finding in merged.review],
        }
        typer.echo(json.dumps(listed, ensure_ascii=False))
        return
    errors = Console(stderr=True)
    for colour, findings in (("bold red", merged.conflicts), ("yellow", merged.review)):
        for one in findings:
            line = f"[{colour}]{one.weight}:[/{colour}] {escape(str(one))}"
            errors.print(line, soft_wrap=True, highlight=False)
    if merged.schema is None:
        typer.echo(f"{len(merged.conflicts)} conflict(s), nothing was written")
        return
    typer.echo(
        f"wrote {out}: {len(merged.schema.columns)} columns, {len(merged.schema.rules)} rules"
    )
    typer.echo(f"next     let a person review {out}; then each site compares its table with it:")
    typer.echo("         fedsynth schema check TABLE --schema FILE, or fedsynth site check")
