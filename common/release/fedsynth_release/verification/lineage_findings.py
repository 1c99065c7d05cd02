"""Follows the studies that a refresh builds on; part of `fedsynth verify`.

Each earlier study is checked as the release itself is: its receipts, its ε, and its statement. The chain
holds if each statement has the SHA-256 of the lineage before it, down to a study that has none.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from fedsynth_common.errors import InputError
from fedsynth_common.protocol.plan import Plan
from fedsynth_release.generator_files import LINEAGE, PLAN, STATEMENT
from fedsynth_release.lineage import Lineage, with_cohorts
from fedsynth_release.statement.privacy_statement import PrivacyStatement
from fedsynth_release.verification.verdict import Finding

StudyFindings = Callable[[PrivacyStatement, Plan, Lineage | None], Iterator[Finding]]
"""The findings about one study's statement, by its plan and its lineage."""


def read_lineage(folder: Path) -> Lineage | None:
    """The lineage of a release; None if it is no refresh.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / LINEAGE
    return Lineage.load(path) if path.is_file() else None


def lineage_findings(
    folder: Path, plan: Plan, lineage: Lineage | None, check: StudyFindings
) -> Iterator[Finding]:
    """Findings about the earlier studies of a refresh."""
    if lineage is None:
        return
    if plan.cohort is None:
        yield Finding(file=PLAN, field="cohort", problem="missing, although there is a lineage")
    if (folder / LINEAGE).read_bytes() != lineage.to_json().encode():
        yield Finding(file=LINEAGE, field="text", problem="not as fedsynth writes it")
    for number, ancestor in enumerate(lineage.ancestors):
        place = f"ancestors[{number}]"
        try:
            earlier, stated = ancestor.read()
        except InputError as error:
            yield Finding(file=LINEAGE, field=place, problem=f"cannot be read ({error})")
            continue
        if earlier.table != plan.table:
            yield Finding(file=LINEAGE, field=f"{place}.plan", problem=f"not the table of {PLAN}")
        if earlier.to_json().decode() != ancestor.plan:
            yield Finding(file=LINEAGE, field=f"{place}.plan", problem="not canonical")
        before = lineage.before(number)
        if stated.artefacts.get(LINEAGE) != (before.digest if before else None):
            problem = "its statement does not follow the studies before it"
            yield Finding(file=LINEAGE, field=f"{place}.statement", problem=problem)
        for finding in check(stated, earlier, before):
            field = f"{place}.{finding.file.replace(STATEMENT, 'statement')}.{finding.field}"
            yield Finding(file=LINEAGE, field=field, problem=finding.problem)


def expected_cohorts(
    again: PrivacyStatement, plan: Plan, lineage: Lineage | None
) -> PrivacyStatement:
    """The statement computed again, with the costs of the cohorts where these can be read."""
    try:
        return with_cohorts(again, plan, lineage)
    except InputError:
        return again
