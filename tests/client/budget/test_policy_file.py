"""The policy in force: read again before every answer, and closed if it cannot be used."""

import pytest
from small_site import Site, make_plan

from fedsynth_client.budget.policy_file import PolicyFile
from fedsynth_client.plans.approvals import add_approval
from fedsynth_client.refused import RefusedError
from fedsynth_common.errors import ErrorCode, InputError

TEXT = """\
dataset = "people"
max_epsilon = 10.0
max_delta = 1e-5
min_records = 1
approved_plans = []
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "policy.toml"
    file.write_text(TEXT)
    file.chmod(0o600)
    return file


@pytest.fixture
def site(path):
    return Site(policy=PolicyFile(path))


def test_an_approval_holds_without_a_restart(site, path):
    assert site.enroll() == "ERR_PLAN"
    add_approval(path, site.plan.digest)
    assert site.enroll() == "OK"


def test_a_withdrawn_approval_stops_a_running_study(site, path):
    add_approval(path, site.plan.digest)
    site.enrolled()
    assert site.vault.measure(site.measure_request()).status == "OK"
    path.write_text(TEXT)
    assert site.vault.discriminate(site.discriminate_request()).status == "ERR_PLAN"
    assert site.ledger.head()[0] == 1


def test_a_lower_cap_holds_at_the_next_request(site, path):
    add_approval(path, site.plan.digest)
    site.enrolled()
    path.write_text(path.read_text().replace("max_epsilon = 10.0", "max_epsilon = 0.5"))
    assert site.vault.measure(site.measure_request()).status == "ERR_BUDGET"
    assert site.ledger.head()[0] == 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.unlink(),
        lambda path: path.write_text(TEXT[:40]),
        lambda path: path.write_text(TEXT.replace("max_delta = 1e-5", "max_delta = 2")),
        lambda path: path.write_text(TEXT.replace('"people"', '"others"')),
        lambda path: path.chmod(0o606),
    ],
    ids=["missing", "half written", "faulty", "other people", "everybody may write"],
)
def test_a_policy_that_cannot_be_used_allows_nothing_until_it_can(site, path, spoil):
    """The code is one after which the coordinator asks again; no charge is made meanwhile."""
    add_approval(path, site.plan.digest)
    good = path.read_text()
    site.enrolled()
    spoil(path)
    assert site.vault.measure(site.measure_request()).status == "ERR_UNAVAILABLE"
    assert site.ledger.head()[0] == 0
    path.write_text(good)
    path.chmod(0o600)
    assert site.vault.measure(site.measure_request()).status == "OK"


def test_the_reason_names_the_file_and_the_field(path):
    policies = PolicyFile(path)
    path.write_text(TEXT.replace("max_delta = 1e-5", "max_delta = 2"))
    with pytest.raises(RefusedError) as refused:
        policies.current()
    assert refused.value.code is ErrorCode.UNAVAILABLE
    assert str(path) in refused.value.words
    assert "max_delta" in refused.value.words


def test_a_vault_does_not_start_on_a_policy_that_is_missing(tmp_path):
    with pytest.raises(InputError):
        PolicyFile(tmp_path / "policy.toml")


def test_another_plan_is_not_approved_with_the_first(site, path):
    add_approval(path, make_plan(delta=1e-6).digest)
    assert site.enroll() == "ERR_PLAN"
