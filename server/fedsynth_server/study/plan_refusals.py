"""What no plan can be made of, told in the names of the options before anything is computed."""

import math

from fedsynth_common.errors import InputError
from fedsynth_common.protocol.plan import SecureSum
from fedsynth_common.schema import Schema, history_schema
from fedsynth_server.aggregation.three_way import MOST_SCREENED
from fedsynth_server.histories.blocks import person_weight
from fedsynth_server.study.screening import SCREENING


def refuse_unusable(
    table: Schema, epsilon: float, delta: float, cohort: str | None, secure_sum: SecureSum | None
) -> None:
    """An unknown cohort or one that cannot be studied so, or an ε or δ outside their ranges."""
    if cohort is not None:
        table.cohort(cohort)
        if secure_sum is not None:
            raise InputError(
                "--trust secure-sum: a study of a cohort takes --trust local, because a secure sum "
                "leaves no counts by site that a refresh could add to"
            )
    if table.in_cohorts_of_persons and (cohort is None or ".." in cohort):
        raise InputError(
            "--cohort: the schema cuts the rows of persons into cohorts, so that a study is about one "
            "cohort; name one, or take the cohorts out of the schema"
        )
    if not 0.01 <= epsilon <= 100:
        raise InputError(f"--epsilon {epsilon:g}: expected a number from 0.01 to 100")
    if not 1e-12 <= delta <= 0.1:
        raise InputError(f"--delta {delta:g}: expected a number from 1e-12 to 0.1")


def refuse_huge_noise(epsilon: float, table: Schema, screens: bool) -> None:
    """A vault draws noise up to a standard deviation of 100,000; a plan beyond is of no use."""
    columns, moved = len(history_schema(table).modelled), table.rows_per_person
    tables: float = max(1, columns * (columns - 1) // 2)
    if screens:
        tables = max(tables, min(math.comb(columns, 3), MOST_SCREENED) / SCREENING)
    if table.histories is not None:
        moved = person_weight(table.histories.max_events)
    if moved * math.sqrt(tables) * 6.0 / epsilon > 100_000:
        raise InputError(
            f"--epsilon {epsilon:g}: {columns} columns and {table.rows_per_person} rows per person "
            "need more noise than a site can draw; raise ε or lower rows_per_person"
        )


def refuse_site_marginals(secure_sum: SecureSum | None, table: Schema, variant: str) -> None:
    """Each site's own marginals where the plan cannot have them."""
    if variant == "gan":
        raise InputError(
            "--site-marginals: go with marginals of pairs, which --variant gan does not measure"
        )
    if secure_sum is None:
        raise InputError(
            "--site-marginals: goes with --trust secure-sum; with local noise the coordinator has each "
            "site's marginals anyway. Leave the option out"
        )
    if table.histories is not None:
        raise InputError(
            "--site-marginals: histories are fitted to the sums alone; leave the option out"
        )


def refuse_three_way(table: Schema, cohort: str | None, site_marginals: bool) -> None:
    """A screening where there are no triples, or nothing to screen for."""
    if len(table.modelled) < 3:
        raise InputError("--variant three-way: needs three modelled columns; take marginals")
    if cohort is not None:
        raise InputError(
            "--variant three-way: the next study of a cohort adds to counts of pairs; take marginals"
        )
    if site_marginals:
        raise InputError(
            "--variant three-way: goes without --site-marginals; leave one of them out"
        )
