"""Each fault that a first reader of the report met has a test that fails when the fault returns.

The faults were found by reading the report as an analyst and as a member of an ethics board would.
`GUARDS` lists them with their tests. A test below makes sure that each of these tests exists, so
that none is renamed or deleted without a look at the fault it guards.
"""

import re
from pathlib import Path

import pytest
from small_evaluation import attacked, make_attack, make_evaluation
from small_study import SCHEMA, make_small_plan, run_seeded

from fedsynth_release.evaluation.attack_results import RiskReduction
from fedsynth_release.evaluation.intervals import Estimate
from fedsynth_release.report.page import render
from fedsynth_release.statement.mechanisms import limits_of
from fedsynth_server.study.export import export

GUARDS = {
    "lights without real records were greener than those with them": (
        "release/test_report_lights.py::test_the_two_reports_of_a_generator_agree",
    ),
    "an age in two cells was good": (
        "release/test_report_lights.py::test_an_age_in_two_cells_is_not_good",
    ),
    "that nothing stood out from the noise was good": (
        "release/test_report_lights.py::test_that_nothing_stood_out_from_noise_is_not_good",
        "release/test_report_lights.py::test_unknown_is_a_verdict_of_its_own",
    ),
    "spread inside cells and tails were ignored": (
        "release/test_report_lights.py::test_noise_inside_a_coarse_cell_counts",
        "release/test_number_tails.py::test_a_tail_that_no_count_shows_makes_amounts_poor",
    ),
    "the direction of relations was ignored": (
        "release/test_report_lights.py::test_the_sign_of_a_relation_counts",
        "release/test_report_pictures.py::test_the_sign_of_a_relation_is_drawn",
    ),
    "the ε of a record was called that of a person": (
        "release/test_plain_words.py::test_a_promise_about_records_says_what_holds_if_somebody_has_five",
        "release/test_plain_words.py::test_no_sentence_says_that_somebody_has_five_records",
    ),
    "a large ε or δ passed as green": (
        "release/test_plain_words.py::test_lights_by_epsilon_and_delta",
        "release/test_plain_words.py::test_a_delta_above_one_in_the_records_is_told",
    ),
    "text went on claiming privacy under a void guarantee": (
        "release/test_report.py::test_void_means_void_everywhere",
    ),
    "an attack that nobody can judge counted as one that failed": (
        "release/test_plain_words.py::test_an_unknown_attack_is_not_counted_as_failed",
        "release/test_report_judgements.py::test_an_attack_is_good_only_if_it_finds_the_leak_on_purpose",
    ),
    "an advantage stood beside two rates whose difference it was not": (
        "release/test_report_faults.py::test_an_advantage_that_is_a_multiple_of_the_difference_says_so",
    ),
    "a reduction was printed whose interval says nothing": (
        "release/test_report_faults.py::test_a_reduction_that_nobody_can_tell_has_no_figure",
    ),
    "rare values were said not to be represented": (
        "release/test_report_faults.py::test_rare_values_are_not_said_to_be_absent",
    ),
    "bars of equal width stood for unequal cells": (
        "release/test_report_pictures.py::test_the_area_of_a_bar_is_its_share",
    ),
    "an axis was cut, so that wrong tails could not be seen": (
        "release/test_report_pictures.py::test_the_histogram_of_an_evaluation_reaches_to_the_ends_of_both_tables",
        "release/test_report_pictures.py::test_a_long_tail_has_a_logarithmic_axis_that_ends_at_its_largest_value",
    ),
    "codes were sorted as text": (
        "release/test_report_pictures.py::test_codes_are_in_their_order",
    ),
    "labels were cut, and a phone's view was narrow": (
        "browser/test_report_in_browser.py::test_no_label_is_clipped",
        "browser/test_report_in_browser.py::test_nothing_sticks_out_of_a_narrow_window",
    ),
    "many printed pages had lonely headings": (
        "browser/test_report_in_browser.py::test_the_first_page_comes_first_and_the_rest_is_folded",
    ),
    "the page of a wide table was large and slow": (
        "release/test_report.py::test_a_wide_table_stays_a_small_file",
        "browser/test_report_in_browser.py::test_a_wide_table_opens_within_two_seconds",
    ),
    "every drawing of a column had the same sentence": (
        "release/test_report_faults.py::test_drawings_of_columns_do_not_repeat_one_sentence",
    ),
}
TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize("fault", GUARDS)
def test_every_fault_has_its_guard(fault):
    for guard in GUARDS[fault]:
        file, name = guard.split("::")
        assert re.search(rf"^def {name}\(", (TESTS / file).read_text(), re.MULTILINE), guard


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("faults") / "generator"
    plan = make_small_plan("marginals", study="faults")
    export(plan, run_seeded(plan, seed=None), place)  # noise from the operating system
    return place


@pytest.mark.parametrize(("low", "told"), [(-8.74, False), (0.2, True)])
def test_a_reduction_that_nobody_can_tell_has_no_figure(folder, low, told):
    """49 % with an interval from -874 % to 100 % is no finding; from 20 % it is one."""
    found = RiskReduction(
        against="pseudonymised", reduction=Estimate(value=0.49, low=low, high=1.0)
    )
    attack = make_attack().model_copy(update={"reductions": (found,)})
    page = render(folder, make_evaluation(SCHEMA, attacks=(attack,)))
    assert ("49 % smaller" in page) == told
    assert ("nobody can tell whether the advantage is smaller" in page) != told


@pytest.mark.parametrize("scale", [1.0, 4.01])
def test_an_advantage_that_is_a_multiple_of_the_difference_says_so(folder, scale):
    """.250 - .055 is not .782: with four times as many training records it is a fourth of it."""
    fields = {
        name: Estimate(value=value, low=value - 0.05, high=value + 0.05)
        for name, value in (("success", 0.250), ("control", 0.055), ("advantage", scale * 0.195))
    }
    table = attacked("synthetic", 0.0, False).model_copy(update=fields | {"scale": scale})
    attack = make_attack().model_copy(update={"tables": (table,)})
    page = render(folder, make_evaluation(SCHEMA, attacks=(attack,)))
    assert f"{scale * 0.195:.3f} [" in page
    told = "the advantage is 4.0 times the difference of the two rates" in page
    assert told == (scale > 1)


@pytest.mark.parametrize("group", [None, 328])
def test_rare_values_are_not_said_to_be_absent(group):
    """A value of 26 real records had 147 synthetic ones: noise adds as well as it takes away."""
    rare = limits_of(group)[0]
    assert "far too often, too rarely or not at all" in rare
    assert "do not represent" not in rare


def test_drawings_of_columns_do_not_repeat_one_sentence(folder):
    """What stands below a drawing of a column says something of that column."""
    page = render(folder, make_evaluation(SCHEMA))
    columns = re.findall(r'<article class="column" id=.*?</article>', page, re.DOTALL)
    captions = [re.search(r"<figcaption>(.*?)</figcaption>", one, re.DOTALL) for one in columns]
    told = [found.group(1) for found in captions if found]
    assert len(told) == len(SCHEMA.modelled)
    assert len(set(told)) == len(told)
