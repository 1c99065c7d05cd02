"""`fedsynth site score`: how well a published synthetic table serves this site, for the site alone.

The score is computed here, from the site's records and without noise: it is not differentially
private and must not leave the site. There is no vault method for it, nothing is sent, and the file
is written for its owner alone. A score that the study may see would be a release of its own, with
noise and a charge on the ledger; fedsynth does not make one.

All records of the site were in the study, so they are cut in two halves: one stands for what the
site would have without the study (the ceiling), the other tests. Attacks need people who were *not*
in the study, which only the site can provide (`--control`).

It needs the package fedsynth-release, which a site that does not score may leave out.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fedsynth_client.cli.options import ConfigPath, release_package
from fedsynth_common.cli.options import AsJson, Force, Quick, ResultFile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fedsynth_client.settings.site_config import SiteConfig
    from fedsynth_common.schema import Schema
    from fedsynth_release.evaluation import Evaluation
    from fedsynth_release.evaluation.analyses.declared import Analysis

WARNING = (
    "For this site only: computed from its records without noise, not differentially private. "
    "Do not send it to anybody outside."
)
DIFFERENT = (
    "the table describes the people of all sites together, and is compared with this site's alone: "
    "where sites differ, a difference says something about the sites and not about the table"
)


def score(
    synthetic: Annotated[Path, typer.Argument(help="The published synthetic table.")],
    config: ConfigPath,
    control: Annotated[
        Path | None,
        typer.Option(
            help="Records of people who were not in the study. With them, the table is also attacked."
        ),
    ] = None,
    analysis: Annotated[
        Path | None,
        typer.Option(help="A file of analyses (TOML), to say which conclusions hold at this site."),
    ] = None,
    out: ResultFile = None,
    quick: Quick = False,
    as_json: AsJson = False,
    force: Force = False,
) -> None:
    """Score a synthetic table against this site's own records. Nothing is sent.

    For example:

      fedsynth site score synthetic.csv --config dayton/site.toml --out score.json

      fedsynth site score synthetic.csv --config dayton/site.toml --analysis model.toml
    """
    from fedsynth_client.budget.policy import Policy
    from fedsynth_client.settings.site_config import SiteConfig
    from fedsynth_common.schema import Schema

    with release_package():
        from fedsynth_release.cli.evaluate import check_out, write_private
        from fedsynth_release.evaluation.analyses.declared import read_analyses
        from fedsynth_release.evaluation.summary import show
        from fedsynth_release.progress import stages
    check_out(out, force)
    site = SiteConfig.load(config)
    schema = Schema.load(site.table_schema)
    declared = () if analysis is None else read_analyses(analysis, schema)
    tables = synthetic, control
    with stages() as say:
        name = Policy.load(site.policy).site
        result = _score(site, schema, name, tables, declared, quick, say)
    if out is not None:
        write_private(result, out)
    if as_json:
        typer.echo(result.to_json(), nl=False)
        typer.echo(WARNING, err=True)
        return
    console = Console()
    show(result, console)
    console.print(WARNING, style="bold red", highlight=False, soft_wrap=True)


def _score(
    site: "SiteConfig",
    schema: "Schema",
    name: str | None,
    tables: tuple[Path, Path | None],
    declared: "Sequence[Analysis]",
    quick: bool,
    say: "Callable[[str], None]",
) -> "Evaluation":
    import numpy as np
    import pandas as pd

    from fedsynth_client.records.guarded_reading import read_records, site_source, without_values
    from fedsynth_client.records.site_column import with_site_name
    from fedsynth_common.tables import read_table
    from fedsynth_release.evaluation import evaluate_table
    from fedsynth_release.evaluation.analyses.run import run_analyses
    from fedsynth_release.evaluation.split import split_for

    synthetic, control = tables
    say("reading the records")
    scored = read_table(synthetic)
    own = pd.concat(list(site_source(site).chunks()), ignore_index=True)
    own = with_site_name(own, schema, name)
    other = None if control is None else with_site_name(read_records(control), schema, name)
    with without_values("scoring"):
        found = run_analyses(declared, own, scored, schema, say) if declared else ()
        if other is None:
            own, other = split_for(own, 0.5, np.random.default_rng(0), schema)
        result = evaluate_table(
            own, other, scored, schema, quick=quick, attacks=control is not None, say=say
        )
    result = result.model_copy(update={"analyses": found})
    notes = (*result.notes, DIFFERENT)
    if control is not None:
        return result.model_copy(update={"notes": notes})
    halves = "training and held-out rows are two halves of this site's records, all in the study"
    return result.model_copy(update={"notice": WARNING, "notes": (*notes, halves)})
