"""`fedsynth study refresh` and `drift`: the next cohort of a growing table, and what changed in it."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedsynth_common.errors import InputError
from fedsynth_server.cli.options import AsJson
from fedsynth_server.refresh import HALF_LIFE

if TYPE_CHECKING:
    from fedsynth_common.protocol.plan import Plan
    from fedsynth_server.refresh.study import Earlier

NEXT = """\
{plan}: digest {digest}
It builds on {before} and measures the records of cohort {cohort} alone.
Next:
  1. look at {config}, which is that of the study before
  2. give {plan} to the sites; each approves it
  3. fedsynth study run {folder}"""


def refresh(
    previous: Annotated[
        Path, typer.Argument(help="The folder of the finished study before.", metavar="PREVIOUS")
    ],
    cohort: Annotated[
        str | None,
        typer.Option(help="The cohort to measure. By default the one of dates that follows."),
    ] = None,
    epsilon: Annotated[
        float | None,
        typer.Option(help="The ε for this cohort. By default that of the study before."),
    ] = None,
    half_life: Annotated[
        float,
        typer.Option(
            help="Cohorts after which what was measured counts half. A small number follows changes "
            "faster and has more noise."
        ),
    ] = HALF_LIFE,
    folder: Annotated[
        Path | None, typer.Option(help="The folder to make. By default PREVIOUS-COHORT, beside it.")
    ] = None,
    records_per_site: Annotated[
        int | None,
        typer.Option(min=1, help="About how many records a site has in the cohort, if it changes."),
    ] = None,
    site: Annotated[
        list[str] | None,
        typer.Option("--site", help="The sites, if they change. Repeat for every site."),
    ] = None,
) -> None:
    """Make the study of the next cohort: it starts from the release of the study before.

    The sites are asked about the records of the new cohort alone, and only these are charged.
    """
    from fedsynth_server.refresh.previous import copy_study, read_study
    from fedsynth_server.study.folder import StudyFolder

    before = StudyFolder(previous)
    earlier = read_study(before.path, half_life)
    old = before.plan()
    name = cohort or _following(old)
    target = StudyFolder(folder or _beside(before.path, old, name))
    made = _planned(old, earlier, name, epsilon, records_per_site, site, target.path.name)
    if target.path.exists():
        raise InputError(f"{target.path}: exists; name another with --folder")
    target.path.mkdir(parents=True)
    target.plan_file.write_bytes(made.to_json())
    shutil.copyfile(before.config_file, target.config_file)
    copy_study(before.path, target.path, half_life)
    target.config()
    typer.echo(
        NEXT.format(
            plan=target.plan_file,
            digest=made.digest,
            before=before.path,
            cohort=name,
            config=target.config_file,
            folder=target.path,
        )
    )


def _beside(path: Path, old: "Plan", name: str) -> Path:
    """The folder beside the study before, with the cohort's name in the place of that one's."""
    stem = path.name.removesuffix(f"-{old.cohort}")
    safe = "".join(c if c.isalnum() or c in "-_." else "_" for c in name)
    return path.parent / f"{stem}-{safe}"


def _following(old: "Plan") -> str:
    cut = old.table.cohorts
    if cut is None or cut.every is None or old.cohort is None:
        raise InputError("--cohort: name the cohort; only cohorts of dates follow each other")
    return cut.following(old.cohort)


def _planned(
    old: "Plan",
    earlier: "Earlier",
    cohort: str,
    epsilon: float | None,
    records_per_site: int | None,
    sites: list[str] | None,
    name: str,
) -> "Plan":
    """The plan of a refresh: that of the study before, for another cohort."""
    from fedsynth_server.refresh.study import require_cohort, require_same_table
    from fedsynth_server.study.planning import make_plan

    made = make_plan(
        study=name,
        table=old.table,
        sites=sites or old.sites,
        records_per_site=records_per_site or old.records_per_site,
        epsilon=epsilon or old.epsilon,
        delta=old.delta,
        variant="both" if old.discriminator else "marginals",
        cohort=cohort,
    )
    require_cohort(made)
    require_same_table(made, earlier)
    return made


def drift(
    folder: Annotated[
        Path, typer.Argument(help="A study, a release or a generator.", metavar="FOLDER")
    ],
    as_json: AsJson = False,
) -> None:
    """Show what changed in the newest cohort beyond noise and chance, from noisy counts alone."""
    from fedsynth_release.drift import Drift
    from fedsynth_release.generator_files import DRIFT, generator_folder

    path = generator_folder(folder) / DRIFT
    if not path.is_file():
        raise InputError(f"{folder}: has no {DRIFT}; only a refresh has earlier cohorts to compare")
    found = Drift.load(path)
    if as_json:
        typer.echo(found.to_json().strip())
        return
    for line in found.lines():
        typer.echo(line)
