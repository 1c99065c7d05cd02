"""A plan: canonical bytes, one digest, and nothing in it that validation lets through by accident."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from small_site import make_secure_plan
from small_study import make_small_plan

from fedsynth_common.errors import InputError
from fedsynth_common.privacy.events import DpSgdEvent, GaussianEvent, merged
from fedsynth_common.protocol.counting import noise_multiplier
from fedsynth_common.protocol.plan import DiscriminatorPlan, Plan


@pytest.fixture(scope="module")
def plan():
    return make_small_plan("both")


def changed(plan, path, value):
    """The plan's JSON with one field replaced (or added)."""
    fields = json.loads(plan.to_json())
    place = fields
    *way, last = path.split(".")
    for part in way:
        place = place[int(part) if part.isdigit() else part]
    place[last] = value
    return json.dumps(fields)


def test_it_comes_back_with_its_digest(plan):
    again = Plan.from_json(plan.to_json())
    assert again == plan
    assert again.digest == plan.digest
    spaced = json.dumps(json.loads(plan.to_json()), indent=4)
    assert Plan.from_json(spaced).digest == plan.digest


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("epsilon", 2.9),
        ("delta", 2e-5),
        ("study", "other"),
        ("sites", ["north", "west", "south"]),
        ("measure.0.noise_multiplier", 9.0),
        ("discriminator.clipping_norm", 2.0),
        ("discriminator.steps_per_message", 4),
        ("table.target", None),
    ],
)
def test_every_field_is_in_the_digest(plan, path, value):
    assert Plan.from_json(changed(plan, path, value)).digest != plan.digest


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("epsilon", 0),
        ("epsilon", -1.0),
        ("epsilon", "3"),
        ("epsilon", float("nan")),
        ("epsilon", float("inf")),
        ("delta", 0.0),
        ("delta", 1.0),
        ("format_version", 1),
        ("study", ""),
        ("study", "../up"),
        ("study", "x" * 65),
        ("sites", []),
        ("sites", ["a", "a"]),
        ("records_per_site", 0),
        ("records_per_site", 1.5),
        ("trust", "central"),
        ("surprise", 1),
        ("measure.0.step", 2),
        ("measure.0.step", 0),
        ("measure.0.noise_multiplier", 0.0),
        ("measure.0.purpose", "leak"),
        ("discriminator.first_step", 2),
        ("discriminator.sampling_rate", 1.01),
        ("discriminator.sampling_rate", 0.0),
        ("discriminator.noise_multiplier", float("nan")),
        ("discriminator.clipping_norm", float("inf")),
        ("discriminator.hidden", []),
        ("discriminator.masked_columns", 0),
        ("table.columns.0.kind", "secret"),
    ],
)
def test_faults_are_one_line_that_names_the_field(plan, path, value):
    with pytest.raises(InputError) as caught:
        Plan.from_json(changed(plan, path, value))
    assert str(caught.value).startswith("plan: ")
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=60))
def test_bytes_that_are_no_plan(data):
    with pytest.raises(InputError):
        Plan.from_json(data)


def test_a_plan_is_frozen(plan):
    with pytest.raises(ValueError, match="frozen"):
        plan.epsilon = 100.0


def test_planned_events_are_every_message(plan):
    events = plan.planned_events()
    training = plan.discriminator
    assert [type(e) for e in events] == [GaussianEvent] * 2 + [DpSgdEvent]
    assert merged(events) == merged([*events[:2], *[training.message_event()] * training.messages])
    assert plan.measure_step(1).purpose == "histograms"
    assert plan.measure_step(99) is None


def test_the_runs_of_messages_are_the_plan_in_order(plan):
    histograms, marginals, training = plan.message_runs
    assert [run.label for run in plan.message_runs] == [
        "1",
        "2",
        f"3-{plan.discriminator.steps[-1]}",
    ]
    assert [run.purpose for run in (histograms, marginals)] == [m.purpose for m in plan.measure]
    assert training.purpose == "discriminator"
    numbers = [number for run in plan.message_runs for number in run.numbers]
    assert numbers == list(range(1, 3 + plan.discriminator.messages))
    assert histograms.event_of(1) == histograms.event == plan.planned_events()[0]
    assert training.event == plan.discriminator.message_event()
    assert merged([training.event] * 2) == (training.event_of(2),)


def test_steps_of_the_discriminator_follow_one_another():
    training = DiscriminatorPlan(
        first_step=3,
        messages=4,
        steps_per_message=1,
        sampling_rate=0.1,
        noise_multiplier=1.0,
        expected_batch=1,
    )
    assert list(training.steps) == [3, 4, 5, 6]


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=30), st.integers(1, 100))
def test_more_marginals_are_less_noise(variances, rows):
    moved = [rows] * len(variances)
    whole = noise_multiplier(variances, moved)
    assert whole <= min(variances) ** 0.5 / rows * (1 + 1e-9)
    assert noise_multiplier(variances * 4, moved * 4) == pytest.approx(whole / 2)


@pytest.fixture(scope="module")
def secure():
    return make_secure_plan(Ed25519PrivateKey.generate(), sites=5)


def test_a_local_plan_does_not_name_the_secure_sum(plan):
    assert json.loads(plan.to_json())["format_version"] == 2
    assert b"secure_sum" not in plan.to_json()
    assert plan.noise_shares == 1


def test_a_secure_plan_comes_back_with_its_digest(secure):
    again = Plan.from_json(secure.to_json())
    assert again == secure
    assert again.digest == secure.digest


def test_the_noise_is_that_of_all_but_the_colluders(secure):
    assert secure.noise_shares == 4
    assert {event.shares for event in secure.planned_events()} == {4}
    two = Plan.from_json(changed(secure, "secure_sum.colluders", 2))
    assert two.noise_shares == 3
    assert two.digest != secure.digest


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("trust", "local", "goes with trust"),
        ("secure_sum", None, "goes with trust"),
        ("format_version", 2, "is 3 for a secure sum"),
        ("secure_sum.colluders", 0, "colluders"),
        ("secure_sum.colluders", 3, "at most 2 of 5 sites"),
        ("secure_sum.receipt_keys.north", "ab", "receipt_keys"),
        ("secure_sum.receipt_keys.stranger", "a" * 64, "the key of every site, no others"),
        ("secure_sum.surprise", 1, "surprise"),
    ],
)
def test_secure_plans_that_are_none(secure, path, value, why):
    assert why in refusal(changed(secure, path, value))


def test_site_marginals_go_with_a_secure_sum_only(plan, secure):
    step = {"step": 9, "purpose": "site marginals", "noise_multiplier": 3.0}
    steps = [*json.loads(secure.to_json())["measure"], step]
    made = Plan.from_json(changed(secure, "measure", steps))
    assert (made.summed(1), made.summed(9), made.shares_of(9)) == (True, False, 1)
    assert made.summed(77) is False
    assert "go with a secure sum only" in refusal(changed(plan, "measure", steps))


def test_two_sites_with_one_key_are_none(secure):
    keys = dict.fromkeys(secure.sites, "0" * 64)
    assert "two sites have the same key" in refusal(
        changed(secure, "secure_sum.receipt_keys", keys)
    )


def test_two_sites_can_sum_nothing_securely(secure):
    fields = json.loads(secure.to_json())
    fields["sites"] = fields["sites"][:2]
    keys = fields["secure_sum"]["receipt_keys"]
    fields["secure_sum"]["receipt_keys"] = {site: keys[site] for site in fields["sites"]}
    assert "at least 3" in refusal(json.dumps(fields))


def test_a_secure_plan_trains_step_by_step(secure, plan):
    training = json.loads(plan.to_json())["discriminator"]
    assert "steps_per_message" in refusal(changed(secure, "discriminator", training))
    single = training | {"steps_per_message": 1}
    made = Plan.from_json(changed(secure, "discriminator", single))
    steps = made.discriminator.steps
    assert made.summed_steps == (1, 2, *steps)
    assert {made.shares_of(step) for step in steps} == {made.noise_shares}
    assert made.planned_events()[-1].shares == made.noise_shares
    assert plan.summed_steps == ()


def refusal(text):
    with pytest.raises(InputError) as refused:
        Plan.from_json(text)
    return str(refused.value)
