"""`fedsynth site drift`: what changed between cohorts of this site's own table, for the site alone.

The comparison is computed here, from the site's records and without noise: it is not differentially
private and must not leave the site. Nothing is sent and nothing is charged, as for `site score`. What a
coordinator may see of changes is in the drift report of a refresh, which comes from noisy counts.

It needs the package fedsynth-release, which a site that compares nothing may leave out.
"""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fedsynth_client.cli.options import AsJson, ConfigPath, release_package
from fedsynth_common.cli.options import Force, ResultFile
from fedsynth_common.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from fedsynth_client.records.cohort_rows import CohortRows
    from fedsynth_client.settings.site_config import SiteConfig
    from fedsynth_common.array_types import BoolArray, Int64Array
    from fedsynth_common.schema import Schema

INTERNAL = (
    "Internal, never send: computed from this site's records without noise, not differentially "
    "private. Nothing was charged, because nothing left the site."
)


def drift(
    config: ConfigPath,
    cohort: Annotated[
        str | None,
        typer.Option(help="The cohort to look at. By default the newest that holds records."),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="The cohort, or cohorts such as 2025Q1..2025Q4, to compare it with. By default all "
            "earlier ones, or of categories all others."
        ),
    ] = None,
    out: ResultFile = None,
    as_json: AsJson = False,
    force: Force = False,
) -> None:
    """Show what changed between cohorts of this site's table. Nothing is sent or charged.

    For example:

      fedsynth site drift --config dayton/site.toml

      fedsynth site drift --config dayton/site.toml --cohort 2027Q1 --against 2026Q1..2026Q4
    """
    from fedsynth_client.cli.check import working
    from fedsynth_client.records.guarded_reading import without_values
    from fedsynth_client.settings.site_config import SiteConfig
    from fedsynth_common.schema import Schema

    with release_package():
        from fedsynth_release.cli.evaluate import check_out
        from fedsynth_release.exact_drift import exact_drift
    check_out(out, force)
    site = SiteConfig.load(config)
    schema = Schema.load(site.table_schema)
    if schema.cohorts is None:
        raise InputError(f"schema {site.table_schema}: has no cohorts to compare")
    with working("reading and comparing the records"):
        frame, rows = _read(site, schema)
        chosen, now, names = sides(rows, schema, cohort, against)
        with without_values("comparing the cohorts"):
            part = frame.iloc[chosen].reset_index(drop=True)
            found = exact_drift(part, now, schema, names, INTERNAL)
    if out is not None:
        from fedsynth_common.durable import write_output

        write_output(out, found.to_json(), 0o600)
    if as_json:
        typer.echo(found.to_json(), nl=False)
        typer.echo(INTERNAL, err=True)
        return
    for line in found.lines():
        typer.echo(line)
    typer.echo(f"compared with {', '.join(names[:-1])}: {found.tests} tests")
    Console().print(INTERNAL, style="bold red", highlight=False, soft_wrap=True)


def _read(site: "SiteConfig", schema: "Schema") -> "tuple[pd.DataFrame, CohortRows]":
    """The whole table, and which of its rows are in which cohort."""
    import pandas as pd

    from fedsynth_client.budget.policy import Policy
    from fedsynth_client.records.guarded_reading import site_source, without_values
    from fedsynth_client.records.records import RecordsBuilder
    from fedsynth_client.records.site_column import with_site_name

    name = Policy.load(site.policy).site
    builder, chunks = RecordsBuilder(schema, keep=False), []
    for chunk in site_source(site).chunks():
        with without_values("reading the table"):
            chunks.append(with_site_name(chunk, schema, name))
            builder.add(chunks[-1])
    rows = builder.cohorts
    if rows is None:
        raise InputError("the schema has no cohorts to compare")
    return pd.concat(chunks, ignore_index=True), rows


def sides(
    rows: "CohortRows", schema: "Schema", cohort: str | None, against: str | None
) -> "tuple[Int64Array, BoolArray, list[str]]":
    """The rows of both sides, which of them are of the cohort that is looked at, and all names.

    Raises:
        InputError: a side holds no records, or both share some.
    """
    import numpy as np

    present = rows.names()
    if not present:
        raise InputError("the table has no records in any cohort")
    name = cohort or present[-1]
    looked = schema.cohort(name)
    others = [n for n in present if _before(schema, n, name)]
    if against is not None:
        others = [against]
    now = rows.of(looked)
    before = np.concatenate([np.empty(0, np.int64), *(rows.of(schema.cohort(n)) for n in others)])
    if not len(now) or not len(before):
        empty = name if not len(now) else against or f"before {name}"
        raise InputError(f"cohort {empty}: this table has no records there to compare")
    if np.isin(now, before).any():
        raise InputError(f"--against {against}: shares records with {name}; name other cohorts")
    chosen = np.concatenate([before, now])
    return chosen, np.arange(len(chosen)) >= len(before), [*others, name]


def _before(schema: "Schema", one: str, other: str) -> bool:
    """Whether a cohort is one of those that another is compared with unless told otherwise."""
    a, b = schema.cohort(one), schema.cohort(other)
    return one != other if a.label else a.last < b.first
