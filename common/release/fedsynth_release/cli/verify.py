"""`fedsynth verify` checks a finished generator from its own files, without any record.

Exit codes: 0 if the folder is consistent; 1 if it is inconsistent or another release than
--release-id (each finding is one line that names file and field); 2 if the folder cannot be
checked.
"""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fedsynth_common.errors import InputError

if TYPE_CHECKING:
    from fedsynth_release.verification.verdict import Verification

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)

EPILOG = (
    "Examples:\n\n"
    "fedsynth verify out/generator\n\n"
    "fedsynth verify out/generator --release-id 3f1c... --key hospital-a=9a07..."
)


def _print_json_schema(wanted: bool) -> None:
    if not wanted:
        return
    from fedsynth_release.statement import PrivacyStatement

    typer.echo(json.dumps(PrivacyStatement.model_json_schema(), indent=2))
    raise typer.Exit


@app.command(epilog=EPILOG)
def verify(
    generator: Annotated[
        Path, typer.Argument(help="Folder of a finished generator, or of a release.")
    ],
    key: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SITE=HEX",
            help="The receipt key of a site, which you have from the site itself. Repeat the option "
            "for several sites.",
        ),
    ] = None,
    key_change: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="A file by which a site replaced its receipt key, so that --key may name a later key "
            "than the one that signed. Repeat the option for several.",
        ),
    ] = None,
    release_id: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="The id of the release, which you have from the publisher in another way "
            "(telephone, letter, published page).",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    json_schema: Annotated[
        bool,
        typer.Option(
            "--json-schema",
            help="Print the JSON Schema of privacy_statement.json and stop.",
            is_eager=True,
            callback=_print_json_schema,
        ),
    ] = False,
) -> None:
    """Check that a generator's privacy statement agrees with its plan, receipts and files.

    The command computes every ε again from the events that the sites signed, and the statement
    again from the plan and the receipts. It needs no records.
    """
    # imported here so that --help does not load the accountant
    from fedsynth_common.protocol.key_change import read_key_change
    from fedsynth_release.generator_files import generator_folder
    from fedsynth_release.verification.verify import verify as audit

    if release_id is not None and not _is_hex(release_id):
        raise InputError(f"--release-id {release_id}: expected 64 hexadecimal digits")
    changes = [read_key_change(path) for path in key_change or []]
    result = audit(generator_folder(generator), _keys(key or []), release_id, changes)
    if as_json:
        typer.echo(json.dumps(_fields(result), ensure_ascii=False))
    else:
        Console().print(_table(result))
        for finding in result.findings:
            typer.echo(finding)
        typer.echo("\n".join(result.lines))
    if not result.consistent:
        raise typer.Exit(1)


def _keys(options: list[str]) -> dict[str, str]:
    """The keys by site.

    Raises:
        InputError: an option is not SITE=HEX, or two different keys are given for a site.
    """
    keys: dict[str, str] = {}
    for option in options:
        site, _, key = option.rpartition("=")
        if not site or not _is_hex(key):
            raise InputError(f"--key {option}: expected SITE=HEX with 64 hexadecimal digits")
        if keys.setdefault(site, key) != key:
            raise InputError(f"--key {option}: another key was given for site {site}; give one")
    return keys


def _is_hex(text: str) -> bool:
    """Whether this is the hexadecimal text of a SHA-256 or an Ed25519 public key."""
    return len(text) == 64 and not set(text.lower()) - set("0123456789abcdef")


def _fields(result: "Verification") -> dict[str, Any]:
    statement = result.statement
    return {
        "consistent": result.consistent,
        "verdict": result.verdict,
        "study": statement.study,
        "private": statement.private,
        "unit": statement.unit,
        "epsilon": statement.epsilon_if_people_are_at_one_site_only,
        "epsilon_if_all_others_work_together": statement.epsilon_if_all_others_work_together,
        "delta": statement.delta,
        "quality": statement.quality.model_dump() if statement.quality else None,
        "release_id": statement.release_id,
        "release_id_matches": result.release_id_matches,
        "origin": result.origin,
        "findings": [asdict(finding) for finding in result.findings],
        "sites": [asdict(site) for site in result.sites],
        "not_guaranteed": result.not_guaranteed,
    }


def _table(result: "Verification") -> Table:
    from fedsynth_common.limits import printable

    secure = result.statement.epsilon_if_all_others_work_together is not None
    lone = ["ε if all others work together"] if secure else []
    table = Table("site", "status", "ε stated", "ε recomputed", *lone, "δ", "receipt")
    for site in result.sites:
        again, alone = site.epsilon_recomputed, site.epsilon_if_all_others_work_together
        table.add_row(
            Text(printable(site.site)),  # rich must not read the name as markup
            site.status,
            f"{site.epsilon_stated:.4f}",
            "-" if again is None else f"{again:.4f}",
            *(["-" if alone is None else f"{alone:.4f}"] if secure else []),
            f"{site.delta:g}",
            site.receipt,
        )
    return table
