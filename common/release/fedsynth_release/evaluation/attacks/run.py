"""Runs all attacks on all tables, and computes how much the risk is reduced."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from fedsynth_common.array_types import Float64Array
from fedsynth_release.evaluation.attack_results import Attack, AttackedTable, RiskReduction
from fedsynth_release.evaluation.attacks import inference, linkability, membership, singling_out
from fedsynth_release.evaluation.attacks.attack_setup import AttackFunction, AttackSetup
from fedsynth_release.evaluation.intervals import reduction
from fedsynth_release.evaluation.result_parts import TableRole

REDUCED_AGAINST: tuple[TableRole, ...] = ("pseudonymised", "k-anonymised")


@dataclass(frozen=True)
class AttackKind:
    """An attack and the texts that explain it; see `results.Attack`."""

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
    tables: Mapping[TableRole, Float64Array],
    setup: AttackSetup,
    say: Callable[[str], None] = lambda _: None,
    kinds: Sequence[AttackKind] = ATTACKS,
) -> tuple[Attack, ...]:
    """Run every attack of `kinds` on every table.

    Args:
        tables: the cells of each table, by role.
        setup: members, controls and the privacy claim.
        say: is called with a text whenever another attack begins.
        kinds: the attacks to run.
    """
    attacks = []
    for kind in kinds:
        results = []
        for role, cells in tables.items():
            say(f"{kind.title.lower()}: {role}")
            claimed = setup if role == "synthetic" else _unclaimed(setup)
            results.append(kind.run(cells, claimed, role))
        attacks.append(_attack(kind, tuple(results)))
    return tuple(attacks)


def _unclaimed(setup: AttackSetup) -> AttackSetup:
    """The setup without the claimed ε, which is about the synthetic table alone."""
    return AttackSetup(setup.features, setup.members, setup.controls, setup.attempts, setup.seed)


def _attack(kind: AttackKind, results: tuple[AttackedTable, ...]) -> Attack:
    by_role = {result.role: result for result in results}
    reductions: tuple[RiskReduction, ...] = ()
    if (synthetic := by_role.get("synthetic")) is not None:
        reductions = tuple(
            RiskReduction(
                against=role, reduction=reduction(synthetic.advantage, by_role[role].advantage)
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
