"""The privacy statement: how sites' costs combine, and the words that must be in it."""

import json

import pytest
from small_study import DELTA, SCHEMA, SITES, make_small_plan, make_statement

from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.privacy.events import DpSgdEvent, to_dict
from fedsynth_release.statement import PrivacyStatement, SiteCost
from fedsynth_release.statement.mechanisms import mechanisms_of, smallest_group
from fedsynth_release.statement.model_card import model_card

STEP = DpSgdEvent(sampling_rate=0.1, noise_multiplier=2.0, steps=5)


def test_costs_are_composed_and_merged():
    cost = SiteCost.from_events("north", [to_dict(STEP), to_dict(STEP)], DELTA)
    assert cost.events == (to_dict(STEP) | {"steps": 10},)
    assert cost.epsilon == epsilon([STEP, STEP], DELTA)
    assert cost.epsilon <= cost.epsilon_rdp_upper_bound


@pytest.mark.parametrize(
    "event", [{}, {"kind": "other"}, {"kind": "gaussian"}, to_dict(STEP) | {"x": 1}]
)
def test_an_unknown_event_is_never_composed(event):
    with pytest.raises(ValueError, match="event|kind"):
        SiteCost.from_events("north", [event], DELTA)


def test_people_at_one_site_pay_the_largest_and_at_all_sites_the_sum():
    costs = [SiteCost.from_events(s, [to_dict(STEP)] * n, DELTA) for n, s in enumerate(SITES, 1)]
    statement = make_statement(sites=costs)
    each = [cost.epsilon for cost in costs]
    assert statement.epsilon_if_people_are_at_one_site_only == each[2]
    assert statement.epsilon_if_people_may_be_at_every_site == pytest.approx(sum(each))
    assert statement.delta == DELTA
    assert statement.delta_if_people_may_be_at_every_site == pytest.approx(3 * DELTA)


def test_caveats_decide_whether_it_is_private():
    assert make_statement().private
    assert make_statement(caveats=["a site was lost"]).private
    assert not make_statement(caveats=["not private: drafted"]).private
    seeded = make_statement(seeded=True)
    assert not seeded.private
    assert "seeded" in seeded.caveats[0]
    assert seeded.randomness == "a random generator with a known seed"


def test_the_unit_is_stated():
    assert make_statement().unit == "one record"
    assert make_statement(rows_per_person=4).unit == "one person, at most 4 records"


def test_it_comes_back_and_refuses_more():
    statement = make_statement()
    assert PrivacyStatement.model_validate_json(statement.model_dump_json()) == statement
    fields = json.loads(statement.model_dump_json())
    with pytest.raises(ValueError, match="surprise"):
        PrivacyStatement.model_validate(fields | {"surprise": 1})
    with pytest.raises(ValueError, match="spec_version"):
        PrivacyStatement.model_validate(fields | {"spec_version": 1})


def test_the_card_says_what_the_statement_says():
    statement = make_statement(caveats=["not private: drafted"])
    card = model_card(SCHEMA, statement, ["step 2: south: ERR_BUDGET"])
    for text in (
        "**No privacy promise**: not private: drafted",
        f"ε = {statement.epsilon_if_people_are_at_one_site_only:.4f} at δ = 1e-05",
        f"ε = {statement.epsilon_if_people_may_be_at_every_site:.4f} at\n  δ = 3e-05",
        "step 2: south: ERR_BUDGET",
        *(f"| {site} |" for site in SITES),
        *statement.unprotected,
    ):
        assert text in card
    assert statement.adversary not in card  # the promise is void
    assert statement.adversary in model_card(SCHEMA, make_statement())
    assert "\n## What happened" not in model_card(SCHEMA, statement)
    assert "{" not in card


def test_names_in_the_card_are_shown_and_do_nothing():
    evil = "x](http://a)\n# <b>|`"
    cost = SiteCost.from_events(evil, [to_dict(STEP)], DELTA)
    card = model_card(SCHEMA, make_statement(study=evil, sites=[cost]), [evil])
    shown = r"x\](http://a)?\# \<b\>\|\`"
    assert card.count(shown) == 3
    assert "<b>" not in card.replace(r"\<b\>", "")
    assert "\n# <" not in card


def test_a_sealed_statement_names_its_files():
    statement = make_statement()
    one, same = statement.sealed({"a": "1", "b": "2"}), statement.sealed({"b": "2", "a": "1"})
    assert one.release_id == same.release_id
    assert len(one.release_id) == 64
    others = [statement.sealed({"a": "1"}), make_statement(plan_digest="1" * 64).sealed({"a": "1"})]
    assert len({made.release_id for made in (one, *others)}) == 3


def counts(scale, blocks=3):
    return {"kind": "counts", "scale": scale, "sensitivity": 1, "blocks": blocks}


def test_the_smallest_group_follows_from_the_noise_of_all_sites():
    assert smallest_group([[counts(30.0)], [counts(5.0), counts(40.0)]]) == 100
    assert smallest_group([[counts(30.0)], [to_dict(STEP)]]) == 85  # a lost site counts as noisy
    assert smallest_group([[to_dict(STEP)], []]) is None
    assert smallest_group([]) is None


def test_limits_are_stated_with_a_number_or_without():
    cost = SiteCost.from_events("north", [counts(30.0)], DELTA)
    statement = make_statement(sites=[cost])
    assert statement.smallest_visible_group == 60
    assert "fewer than about 60 records" in statement.limits[0]
    assert "only few records have" in make_statement().limits[0]


def test_mechanisms_repeat_the_plan():
    plan = make_small_plan("both")
    histograms, marginals, training = mechanisms_of(plan)
    assert histograms.noise_multiplier == plan.measure[0].noise_multiplier
    assert (marginals.first_step, marginals.last_step) == (2, 2)
    d = plan.discriminator
    assert (training.clipping_norm, training.expected_batch) == (d.clipping_norm, d.expected_batch)
    assert training.sgd_steps == d.messages * d.steps_per_message
    assert training.last_step == d.steps[-1]
    assert len(mechanisms_of(make_small_plan("marginals"))) == 2
