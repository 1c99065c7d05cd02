"""A plan as a person at this site reads it before allowing something: with policy and ledger."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

from fedsynth_client.budget.policy import Policy
from fedsynth_client.budget.receipts import load_or_create_key
from fedsynth_client.budget.spending import LedgerState, read_ledger
from fedsynth_client.cli.options import read_plan
from fedsynth_client.plans.review import Review, review
from fedsynth_client.settings.site_config import SiteConfig
from fedsynth_common.errors import FedsynthError
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import Schema


@dataclass(frozen=True)
class PlanHere:
    """A plan, and what of the site decides about it."""

    file: Path
    plan: Plan
    site: SiteConfig
    policy: Policy
    schema: Schema
    ledger: LedgerState

    @classmethod
    def read(cls, plan_file: Path, config: Path) -> Self:
        """Read everything.

        Raises:
            FedsynthError: a file is missing or faulty, or the ledger does not open.
        """
        site = SiteConfig.load(config)
        policy, schema = Policy.load(site.policy), Schema.load(site.table_schema)
        plan = read_plan(plan_file)
        ledger = read_ledger(site.ledger, policy.dataset, site.witness)
        if ledger.fault:
            raise FedsynthError(f"ledger {site.ledger}: {ledger.fault}")
        return cls(plan_file, plan, site, policy, schema, ledger)

    @cached_property
    def reviewed(self) -> Review:
        """What the plan costs here, and whether the vault would refuse it."""
        key = load_or_create_key(self.site.key).public_key().public_bytes_raw()
        charges, day = self.ledger.charges, self.ledger.book.last_day
        return review(self.plan, self.policy, self.schema, charges, key, day)

    def require_acceptable(self) -> None:
        """Raises FedsynthError with the reasons if the vault would refuse the plan."""
        if self.reviewed.refusals:
            reasons = "; ".join(self.reviewed.refusals)
            raise FedsynthError(f"plan {self.file}: this site's vault would refuse it: {reasons}")
