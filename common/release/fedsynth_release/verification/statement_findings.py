"""Finds what in a privacy statement differs from the one computed again; part of `fedsynth verify`.

Three functions yield findings. One compares a site's line with its receipt and with the accountant.
One compares the list of sites with the plan. One compares the statement's own fields with those
that follow from plan and receipts. A field that differs is named once, with both values if these
are public. Figures may differ by the accountant's rounding (one step per site). Texts and facts
must be equal.
"""

import math
import re
from collections.abc import Iterator
from typing import Any

from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.accounting import ROUNDING
from fedsynth_common.protocol.plan import Plan
from fedsynth_release.generator_files import PLAN, STATEMENT
from fedsynth_release.statement.costs import SiteCost
from fedsynth_release.statement.mechanisms import earlier_limits_of
from fedsynth_release.statement.privacy_statement import PrivacyStatement
from fedsynth_release.statement.promises import is_private
from fedsynth_release.statement.receipt_evidence import Evidence
from fedsynth_release.verification.verdict import Finding

ALONE = "epsilon_if_all_others_work_together"
FIGURES = (
    "epsilon_if_people_are_at_one_site_only",
    "epsilon_if_people_may_be_at_every_site",
    ALONE,
    "delta",
    "delta_if_people_may_be_at_every_site",
)
FACTS = (
    *("study", "plan_digest", "unit", "rows_per_person", "randomness", "mechanisms"),
    *("smallest_visible_group", "limits", "cohorts", "epsilon_of_any_record"),
    "cohorts_per_person",
)
WORDS = (
    *("definition", "adjacency", "trust", "overlap", "charged", "not_charged", "unprotected"),
    *("adversary", "numerics", "not_promised"),
)
"""Texts that the spec version fixes, so that no study promises more or admits less than is true."""


def site_findings(
    cost: SiteCost, evidence: Evidence, again: SiteCost | PrivacyError
) -> Iterator[Finding]:
    """Compare one site's line with its receipt (`evidence`) and with the line computed again."""
    place = f"sites[{cost.site}]"
    for field, problem in evidence.faults:
        yield Finding(file=STATEMENT, field=f"{place}.{field}", problem=problem)
    if isinstance(again, PrivacyError):
        problem = f"cannot be accounted ({again})"
        yield Finding(file=STATEMENT, field=f"{place}.events", problem=problem)
        return
    if evidence.events is not None and cost.events != again.events:
        source = "the whole plan, which a lost site is charged"
        problem = source if cost.status == "lost" else "those of the signed receipt"
        yield Finding(file=STATEMENT, field=f"{place}.events", problem=f"are not {problem}")
    slacks = {"epsilon": ROUNDING, ALONE: ROUNDING, "epsilon_rdp_upper_bound": 0.0, "delta": 0.0}
    for field, slack in slacks.items():
        if not _close(getattr(cost, field), getattr(again, field), slack):
            yield _differs(f"{place}.{field}", getattr(cost, field), getattr(again, field))
    for field, signed in evidence.facts.items():
        if getattr(cost, field) != signed:
            problem = f"states {getattr(cost, field)!r}, the signed receipt says {signed!r}"
            yield Finding(file=STATEMENT, field=f"{place}.{field}", problem=problem)


def site_list_findings(statement: PrivacyStatement, plan: Plan) -> Iterator[Finding]:
    """Check that the sites are those of the plan and that each has a key of its own."""
    named = tuple(cost.site for cost in statement.sites)
    if named != plan.sites:
        problem = f"are not the {len(plan.sites)} sites of {PLAN}, in its order"
        yield Finding(file=STATEMENT, field="sites", problem=problem)
    holders: dict[str, str] = {}
    for cost in statement.sites:
        holder = holders.setdefault(cost.receipt_key.lower(), cost.site)
        if cost.receipt_key and holder != cost.site:
            field = f"sites[{cost.site}].receipt_key"
            yield Finding(file=STATEMENT, field=field, problem=f"is also the key of {holder}")
        planned = plan.secure_sum.receipt_keys.get(cost.site) if plan.secure_sum else None
        if planned and cost.receipt_key and cost.receipt_key.lower() != planned:
            field = f"sites[{cost.site}].receipt_key"
            yield Finding(file=STATEMENT, field=field, problem=f"is not the one that {PLAN} names")
    opened: dict[int, set[int]] = {}
    for summed in (summed for cost in statement.sites for summed in cost.sums):
        if summed.opened is not None:
            opened.setdefault(summed.step, set()).add(summed.opened)
    for step, sizes in opened.items():
        if len(sizes) > 1:
            problem = f"step {step}: the sites opened different sums, over {sorted(sizes)} of them"
            yield Finding(file=STATEMENT, field="sites", problem=problem)


def statement_findings(stated: PrivacyStatement, again: PrivacyStatement) -> Iterator[Finding]:
    """Compare the statement's own fields with those that follow from plan and receipts."""
    step = ROUNDING * max(1, len(stated.sites))
    for field in FIGURES:
        slack = step if field.startswith("epsilon") else 0.0
        if not _close(getattr(stated, field), getattr(again, field), slack):
            yield _differs(field, getattr(stated, field), getattr(again, field))
    earlier = earlier_limits_of(again.smallest_visible_group)
    for field in FACTS:
        if field == "limits" and stated.limits == earlier:
            continue  # the words of earlier versions
        if getattr(stated, field) != getattr(again, field):
            yield _differs(field, getattr(stated, field), getattr(again, field))
    for field in WORDS:
        if getattr(stated, field) != getattr(again, field):
            problem = f"is not the text of spec version {stated.spec_version}"
            yield Finding(file=STATEMENT, field=field, problem=problem)
    for caveat in again.caveats:
        if caveat not in stated.caveats:
            yield Finding(file=STATEMENT, field="caveats", problem=f"lack {caveat!r}")
    private = is_private((*again.caveats, *stated.caveats))
    if stated.private != private:
        yield _differs("private", stated.private, private)
    same = stated.accountant == again.accountant.model_copy(
        update={"version": stated.accountant.version}
    )
    if not same or not re.fullmatch(r"\d[\w.+-]*", stated.accountant.version):
        yield Finding(file=STATEMENT, field="accountant", problem="is not one that can be repeated")
    if stated.software.get("dp-accounting") != stated.accountant.version:
        problem = "names another version of dp-accounting than the field accountant"
        yield Finding(file=STATEMENT, field="software", problem=problem)
    sealed = stated.sealed(stated.artefacts)
    if stated.release_id != sealed.release_id:
        yield _differs("release_id", stated.release_id, sealed.release_id)


def release_findings(stated: PrivacyStatement, known: str | None) -> Iterator[Finding]:
    """Check that this is the release whose id the auditor knows, if the auditor gave one."""
    if known is not None and stated.release_id.lower() != known.lower():
        problem = "is not the one given, so this is another release or a replaced one"
        yield Finding(file=STATEMENT, field="release_id", problem=problem)


def _close(stated: float | None, again: float | None, slack: float = 0.0) -> bool:
    """Whether two figures are equal up to `slack`, or both are none; NaN never is."""
    if stated is None or again is None:
        return stated is again
    return math.isclose(stated, again, rel_tol=1e-6, abs_tol=1.01 * slack)


def _differs(field: str, stated: Any, again: Any) -> Finding:
    problem = f"states {stated!r}, but computing it again gives {again!r}"
    return Finding(file=STATEMENT, field=field, problem=problem)
