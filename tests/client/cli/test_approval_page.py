"""`site approve --page`: a page for an ethics board, of the plan's own cost and in plain words."""

import re
import shutil
import stat
import subprocess
from datetime import date

import pytest
from command import fedsynth
from small_site import SCHEMA, make_plan, new_site

from fedsynth_client.budget.policy import Policy
from fedsynth_client.plans.approval_page import approval_page, terms_of
from fedsynth_client.plans.review import review
from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.promise.plain_words import figure, promise_of
from fedsynth_common.schema import CategoricalColumn, IdColumn

DAY = date(2026, 1, 2)


def policy(**changes):
    fields = {
        "dataset": "people",
        "site": "north",
        "max_epsilon": 10.0,
        "max_delta": 1e-5,
        "approved_plans": (),
    }
    return Policy(**(fields | changes))


def page_of(plan, **changes):
    """The page, and the review it is made of."""
    rules = policy(**changes)
    reviewed = review(plan, rules, plan.table, [], bytes(32))
    return approval_page(plan, rules, reviewed, DAY), reviewed


def words(page):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_it_says_the_cost_that_is_computed_and_what_it_means():
    plan = make_plan()
    page, reviewed = page_of(plan)
    text = words(page)
    cost = epsilon(plan.planned_events(), plan.delta)
    assert reviewed.cost == cost
    assert f"ε = {figure(cost)}, δ = {plan.delta:g}" in text
    assert plan.digest in text
    for sentence in promise_of(terms_of(plan, reviewed)).sentences:
        assert sentence in text
    left = int((10.0 - reviewed.after.epsilon) * 100) / 100
    assert re.search(rf"Left of the cap afterwards\s+{left:.2f}", text)
    for who in ("Data protection officer", "Chair of the board", "Date"):
        assert who in text


def test_a_person_and_a_record_are_told_apart():
    key = IdColumn(name="nr")
    schema = SCHEMA.model_copy(
        update={"columns": (*SCHEMA.columns, key), "person_key": "nr", "rows_per_person": 3}
    )
    plan = make_plan(table=schema)
    text = words(page_of(plan)[0])
    assert "What it means for a person" in text
    assert "uses at most 3 records of a person" in text
    assert "Never read for learning (1): nr" in text
    assert "What it means for a record" in words(page_of(make_plan())[0])


def test_a_plan_that_the_vault_would_refuse_says_so():
    page, reviewed = page_of(make_plan(), max_epsilon=0.1)
    assert reviewed.refusals
    assert "would refuse the plan as it is" in words(page)
    assert re.search(r"Left of the cap afterwards\s+0.00", words(page))


def test_what_the_coordinator_wrote_is_no_markup():
    hostile = "<script>alert(1)</script>"
    column = CategoricalColumn(name=hostile, categories=("a",))
    schema = SCHEMA.model_copy(update={"columns": (*SCHEMA.columns, column)})
    page, _ = page_of(make_plan(table=schema))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@pytest.fixture
def site(tmp_path):
    return new_site(tmp_path, ["a,true,w"] * 1200)


def test_the_command_writes_it_once_and_approves_nothing(site):
    words_ = ("site", "approve", site / "plan.json", "--config", site / "s/site.toml")
    done = fedsynth(*words_, "--page", site / "a.html")
    assert (done.returncode, "nothing was approved" in done.stdout) == (0, True), done.stderr
    assert Policy.load(site / "s/policy.toml").approved_plans == ()
    assert stat.S_IMODE((site / "a.html").stat().st_mode) == 0o600
    again = fedsynth(*words_, "--page", site / "a.html")
    assert (again.returncode, "is not replaced" in again.stderr) == (2, True)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_it_fits_on_two_sheets_of_paper(tmp_path):
    (tmp_path / "a.html").write_text(page_of(make_plan())[0])
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer")
    out = tmp_path / "a.pdf"
    subprocess.run(
        ["chromium", *flags, f"--print-to-pdf={out}", (tmp_path / "a.html").as_uri()],
        check=True,
        capture_output=True,
        timeout=120,
    )
    paper = out.read_bytes()
    assert 1 <= paper.count(b"/Type /Page\n") + paper.count(b"/Type /Page ") <= 2
