"""A small site whose table is cut into quarters, with a real vault, ledger and preflight."""

from datetime import date

import numpy as np
import pandas as pd
from small_site import Site, make_plan, make_policy

from fedsynth_client.budget.cohort_seals import SealBook
from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.preflight.preflight import Inspection, preflight
from fedsynth_common.privacy.randomness import Randomness
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.plan import MeasureStep
from fedsynth_common.schema import CategoricalColumn, Cohorts, IdColumn, Schema

WARDS = CategoricalColumn(name="ward", categories=("a", "b", "c"), other=False)
SCHEMA = Schema(
    name="admissions",
    columns=(WARDS, IdColumn(name="arrived")),
    cohorts=Cohorts(column="arrived", every="quarter"),
)
YEARLY = SCHEMA.model_copy(update={"cohorts": Cohorts(column="arrived", every="year")})
WAVES = Schema(
    name="waves",
    columns=(WARDS, CategoricalColumn(name="wave", categories=("one", "two"), other=False)),
    cohorts=Cohorts(column="wave"),
)
NOISE = 3.0
STEP = MeasureStep(step=1, purpose="histograms", noise_multiplier=NOISE)


def table(quarters=("2026-02-01", "2026-05-01", "2026-08-01"), rows=300, seed=0):
    """As many records in each quarter, in turn."""
    rng = np.random.default_rng(seed)
    arrived = np.resize(np.array(quarters), rows)
    return pd.DataFrame({"ward": rng.choice(list("abc"), rows), "arrived": arrived})


def plan_of(study, cohort=None, schema=SCHEMA, noise=NOISE):
    """A plan of one histogram of the wards."""
    step = STEP.model_copy(update={"noise_multiplier": noise})
    return make_plan(
        study=study, table=schema, measure=(step,), discriminator=None, epsilon=9.0, cohort=cohort
    )


def policy(**changes):
    return make_policy(**({"max_epsilon": 2.3, "max_epsilon_per_cohort": 1.6} | changes))


class CohortSite:
    """A site that starts its vault on a table as `fedsynth site serve` does."""

    def __init__(self, frame=None, schema=SCHEMA, path=":memory:", ledger=None, **limits):
        self.schema, self.policy = schema, policy(**limits)
        self.ledger = ledger or Ledger(path, "people")
        self.frame = table() if frame is None else frame

    @property
    def book(self):
        return SealBook(self.ledger.cohort_key(), self.ledger.seals().seals)

    def problems(self):
        """What `site check` says of the table."""
        return preflight(self.frame, self.schema, self.policy, book=self.book).problems

    def served(self, plan):
        """The vault as it starts, with the requests of a coordinator for this plan."""
        inspection = Inspection(self.schema, self.policy, keep=True, book=self.book)
        inspection._add(self.frame)
        inspection.result().require_fit()
        records = inspection.records.finish(Randomness())
        return Site(
            plan=plan, policy=self.policy, records=records, ledger=self.ledger, schema=self.schema
        )

    def run(self, plan, variance=None):
        """The status of one study: of its enrolment if it is refused, else of its histogram."""
        site = self.served(plan)
        if (status := site.enroll()) != "OK":
            return status
        return self.measure(site, variance).status

    @staticmethod
    def measure(site, variance=None):
        noise = site.plan.measure[0].noise_multiplier
        marginal = pb.Marginal(
            axes=[pb.Axis(column=0, view=-1)], noise_variance=variance or int(np.ceil(noise**2))
        )
        request = pb.MeasureRequest(plan_digest=site.digest, step=1, marginals=[marginal])
        return site.vault.measure(request)


def set_clock(monkeypatch, day):
    """Let every part of the vault believe that it is this day (ISO 8601)."""
    from fedsynth_client.vault import admission, service

    for module in (admission, service):
        monkeypatch.setattr(module, "today", lambda: date.fromisoformat(day))
