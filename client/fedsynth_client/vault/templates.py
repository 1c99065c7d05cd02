"""Which plans run without a person: those that repeat an approved plan for another cohort.

A steward who has read and approved a plan of a cohort may allow that it is repeated, up to a last
cohort (`templates` in the policy). A plan fits if it is the approved one, word for word, but for
the name of the study and the cohort; if it is about one cohort, none before that of the approved
plan and none after the last; and if no other study was ever charged to the records of that cohort.
So each cohort is studied once in this way, and one that was missed can be made up once. Whatever
does not fit needs an approval of its own (fail closed).

The approved plan is read from the ledger, which has it once its study was accepted here. The vault
parses a new plan only after its text was compared with that one, so that a stranger's schema is
never checked. All of this is looked at again at every request: a template that is taken away stops
its studies.
"""

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from fedsynth_client.budget.charge_chain import Charge
from fedsynth_client.budget.cohort_accounts import accounts
from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.budget.policy import Policy, Template
from fedsynth_common.errors import InputError
from fedsynth_common.protocol.plan import Plan

_FREE = ("study", "cohort")


def is_repeated(plan_json: bytes, policy: Policy, ledger: Ledger) -> bool:
    """Whether a plan repeats an approved one for a cohort that nobody has studied."""
    return any(_fits(plan_json, template, ledger) for template in policy.templates)


def _fits(plan_json: bytes, template: Template, ledger: Ledger) -> bool:
    approved = ledger.plan(template.plan)
    if approved is None or hashlib.sha256(approved).hexdigest() != template.plan:
        return False
    try:
        if _fixed(plan_json) != _fixed(approved):
            return False
        plan, model = Plan.from_json(plan_json), Plan.from_json(approved)
        if ledger.is_closed(model.study):  # a restored ledger may have forgotten a repetition
            return False
        return plan.to_json() == plan_json and _cohort_is_free(
            plan, model, template, ledger.charged()
        )
    except (ValueError, RecursionError, InputError):
        return False


def _fixed(plan_json: bytes) -> dict[str, Any]:
    """The fields that a repetition may not change."""
    fields = json.loads(plan_json)
    if not isinstance(fields, dict):
        raise ValueError("a plan is an object")
    return {name: value for name, value in fields.items() if name not in _FREE}


def _cohort_is_free(plan: Plan, model: Plan, template: Template, charges: Sequence[Charge]) -> bool:
    cut, asked, first = plan.table.cohorts, plan.served, model.served
    if cut is None or cut.every is None or asked is None or first is None or ".." in asked.name:
        return False
    if not first.first <= asked.first <= asked.last <= cut.cohort(template.until).last:
        return False
    touched = [charge for account in accounts(asked, cut, charges) for charge in account]
    return all(charge.study == plan.study for charge in touched)
