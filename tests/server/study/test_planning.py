"""Plans cost what they say, whatever ε, variant and table; the vault's own rule agrees."""

import json

import dp_accounting
import pytest
from dp_accounting.pld import PLDAccountant
from pydantic import ValidationError
from small_study import DELTA, ROUNDS, SCHEMA, SITES, make_small_plan

from fedsynth_common.errors import InputError
from fedsynth_common.privacy.accounting import epsilon as epsilon_of
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import CategoricalColumn, Schema
from fedsynth_server.study.costs import explain
from fedsynth_server.study.planning import SHARES, make_plan
from fedsynth_server.study.roster import make_secure_sum


def plan_of(**changes):
    fields = {
        "study": "study",
        "table": SCHEMA,
        "sites": SITES,
        "records_per_site": 1000,
        "epsilon": 1.0,
        "delta": DELTA,
        "variant": "marginals",
        "rounds": ROUNDS,
    }
    return make_plan(**(fields | changes))


@pytest.mark.parametrize("variant", SHARES)
@pytest.mark.parametrize("epsilon", [0.01, 0.1, 3.0, 10.0])
def test_a_plan_costs_epsilon_and_no_more(variant, epsilon):
    plan = make_small_plan(variant, epsilon)
    cost = epsilon_of(plan.planned_events(), plan.delta)
    assert 0.97 * epsilon <= cost <= epsilon
    assert (plan.discriminator is None) == (variant in ("marginals", "three-way"))


def test_the_cost_is_that_of_dp_accounting():
    plan = make_small_plan("both", 3.0)
    accountant = PLDAccountant(dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE)
    gaussian = dp_accounting.GaussianDpEvent
    for measure in plan.measure:
        accountant.compose(gaussian(measure.noise_multiplier))
    d = plan.discriminator
    step = dp_accounting.PoissonSampledDpEvent(d.sampling_rate, gaussian(d.noise_multiplier))
    accountant.compose(step, d.messages * d.steps_per_message)
    assert accountant.get_epsilon(plan.delta) <= plan.epsilon
    assert accountant.get_epsilon(plan.delta) == pytest.approx(plan.epsilon, rel=0.015)


def test_more_epsilon_is_less_noise():
    multipliers = [
        make_small_plan("marginals", e).measure[1].noise_multiplier for e in (0.1, 1, 10)
    ]
    assert multipliers == sorted(multipliers, reverse=True)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, float("nan"), float("inf"), 1e9, 0.0099, 100.1])
def test_epsilon_out_of_range(epsilon):
    with pytest.raises(InputError, match="--epsilon"):
        plan_of(epsilon=epsilon)


@pytest.mark.parametrize("delta", [0.0, -1e-5, float("nan"), 0.2, 1.0])
def test_delta_out_of_range(delta):
    with pytest.raises(InputError, match="--delta"):
        plan_of(delta=delta)


def test_delta_beyond_the_accountant_is_an_input_error():
    with pytest.raises(InputError, match="--delta"):
        plan_of(delta=1e-20)


@pytest.mark.parametrize("variant", ["marginals", "gan"])
def test_the_largest_epsilon_is_planned_or_refused_in_words(variant):
    try:
        plan = plan_of(epsilon=100.0, variant=variant)
    except InputError as error:
        assert "--epsilon" in str(error)
    else:
        assert epsilon_of(plan.planned_events(), plan.delta) <= 100


def test_a_plan_is_a_function_of_public_facts_alone():
    assert plan_of().digest == plan_of().digest
    assert Plan.from_json(plan_of().to_json()) == plan_of()
    assert len({plan_of().digest, plan_of(sites=("a", "b")).digest, plan_of(study="b").digest}) == 3


def test_step_numbers_run_through():
    plan = make_small_plan("both")
    steps = [m.step for m in plan.measure] + list(plan.discriminator.steps)
    assert steps == list(range(1, len(steps) + 1))


def test_wide_tables_stay_in_budget():
    columns = tuple(CategoricalColumn(name=f"c{i}", categories=("a", "b")) for i in range(40))
    plan = plan_of(table=Schema(name="wide", columns=columns))
    assert epsilon_of(plan.planned_events(), plan.delta) <= 1.0


@pytest.mark.parametrize("epsilon", [1.0, 10.0])
def test_auto_trains_no_discriminators(epsilon):
    plan = plan_of(variant="auto", epsilon=epsilon, records_per_site=1_000_000)
    assert plan == plan_of(variant="three-way", epsilon=epsilon, records_per_site=1_000_000)
    assert plan.discriminator is None


def test_auto_screens_where_triples_can_be_told_from_noise():
    few, many = (plan_of(variant="auto", records_per_site=n) for n in (100, 1_000_000))
    assert few == plan_of(variant="marginals", records_per_site=100)
    assert many.screens
    assert [step.purpose for step in many.measure[2:]] == ["screening", "three-way marginals"]


def test_a_screening_is_refused_in_words():
    two = Schema(name="two", columns=SCHEMA.columns[:2])
    with pytest.raises(InputError, match="needs three modelled columns"):
        plan_of(variant="three-way", table=two)
    assert not plan_of(variant="auto", table=two, records_per_site=1_000_000).screens
    keys = {site: f"{k:064x}" for k, site in enumerate("abc", 1)}
    summed = make_secure_sum(tuple(keys), keys)
    with pytest.raises(InputError, match="goes without --site-marginals"):
        plan_of(variant="three-way", sites=tuple(keys), secure_sum=summed, site_marginals=True)


def test_a_screening_goes_with_what_it_needs_and_no_more():
    """A plan that a coordinator wrote by hand is read by the same rules."""
    plan = plan_of(variant="three-way").model_dump(mode="json")
    plan["measure"] = plan["measure"][:3]
    with pytest.raises(ValidationError, match="screening"):
        Plan.model_validate_json(json.dumps(plan))
    training = plan_of(variant="both").model_dump(mode="json")["discriminator"]
    plan = plan_of(variant="three-way").model_dump(mode="json") | {"discriminator": training}
    plan["discriminator"]["first_step"] = 5
    with pytest.raises(ValidationError, match="without discriminators"):
        Plan.model_validate_json(json.dumps(plan))


def test_the_explanation_adds_up():
    lines = explain(make_small_plan("both"))
    assert len(lines) == 3
    assert sum(line.share for line in lines) == pytest.approx(1.0)
    assert all(0 < line.epsilon_alone < 3.0 for line in lines)
    shares = [line.share for line in lines]
    assert shares == pytest.approx(list(SHARES["both"].values()), abs=0.08)
