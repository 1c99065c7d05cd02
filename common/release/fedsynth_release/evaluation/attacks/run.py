"""All attacks on all tables of one run, with the risk reductions that follow."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from fedsynth_release.evaluation.attacks import inference, linkability, membership, singling_out
from fedsynth_release.evaluation.attacks.sides import AttackFunction, Sides
from fedsynth_release.evaluation.features import Floats
from fedsynth_release.evaluation.intervals import reduction
from fedsynth_release.evaluation.results import Attack, AttackedTable, RiskReduction, TableRole

REDUCED_AGAINST: tuple[TableRole, ...] = ("pseudonymised", "k-anonymised")


@dataclass(frozen=True)
class AttackKind:
    """An attack with the texts that explain it; see `results.Attack`."""

    name: str
    title: str
    definition: str
    source: str
    run: AttackFunction


ATTACKS = (
    AttackKind(
        membership.NAME,
        membership.TITLE,
        membership.DEFINITION,
        membership.SOURCE,
        membership.membership,
    ),
    AttackKind(
        singling_out.UNIVARIATE_NAME,
        singling_out.UNIVARIATE_TITLE,
        singling_out.UNIVARIATE_DEFINITION,
        singling_out.SOURCE,
        singling_out.singling_out_univariate,
    ),
    AttackKind(
        singling_out.MULTIVARIATE_NAME,
        singling_out.MULTIVARIATE_TITLE,
        singling_out.MULTIVARIATE_DEFINITION,
        singling_out.SOURCE,
        singling_out.singling_out_multivariate,
    ),
    AttackKind(
        linkability.NAME,
        linkability.TITLE,
        linkability.DEFINITION,
        linkability.SOURCE,
        linkability.linkability,
    ),
    AttackKind(
        inference.NAME,
        inference.TITLE,
        inference.DEFINITION,
        inference.SOURCE,
        inference.inference,
    ),
)


def run_attacks(
    tables: Mapping[TableRole, Floats],
    sides: Sides,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Attack, ...]:
    """Every attack on every table (cells by role); `say` hears what is being done."""
    found = []
    for kind in ATTACKS:
        results = []
        for role, cells in tables.items():
            say(f"{kind.title.lower()}: {role}")
            claimed = sides if role == "synthetic" else _unclaimed(sides)
            results.append(kind.run(cells, claimed, role))
        found.append(_attack(kind, tuple(results)))
    return tuple(found)


def _unclaimed(sides: Sides) -> Sides:
    """The claimed ε is about the synthetic table alone."""
    return Sides(sides.features, sides.members, sides.controls, sides.attempts, sides.seed)


def _attack(kind: AttackKind, results: tuple[AttackedTable, ...]) -> Attack:
    by_role = {result.role: result for result in results}
    reductions: tuple[RiskReduction, ...] = ()
    if (made := by_role.get("synthetic")) is not None:
        reductions = tuple(
            RiskReduction(
                against=role, reduction=reduction(made.advantage, by_role[role].advantage)
            )
            for role in REDUCED_AGAINST
            if role in by_role
        )
    return Attack(
        name=kind.name,
        title=kind.title,
        definition=kind.definition,
        source=kind.source,
        tables=results,
        reductions=reductions,
    )
