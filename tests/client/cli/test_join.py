"""From an invitation to a site whose plan is approved, and its answer; what does not fit is refused."""

import json
import stat

import pytest
from command import fedsynth
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from small_invitations import begin, done, hub, join

from fedsynth_client.budget.policy import Policy
from fedsynth_client.settings.site_config import CourierConfig
from fedsynth_common.errors import InputError
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.protocol.signed_file import (
    fingerprint,
    read_answer,
    read_invitation,
    signed,
)
from fedsynth_server.coordinator.entry import admit
from fedsynth_server.coordinator.folder import CoordinatorFolder
from fedsynth_server.study.folder import StudyFolder

__all__ = ["hub"]


def test_one_file_makes_a_site_with_an_approved_plan(hub, tmp_path):
    site = tmp_path / "site"
    ended = join(hub, site)
    assert ended.returncode == 0, ended.stderr
    plan = StudyFolder(hub / "flu").plan()
    policy = Policy.load(site / "policy.toml")
    assert (policy.approved_plans, policy.site) == ((plan.digest,), "north")
    assert (policy.dataset, policy.max_epsilon) == ("people", 5.0)
    courier = CourierConfig.load(site / "courier/courier.toml")
    assert courier.superlink == "fed.example.org:444"
    assert courier.root_certificates.read_bytes() == (hub / "hub/certs/ca.crt").read_bytes()
    assert list((courier.home / "apps").iterdir())
    assert Plan.from_json((site / "flu.plan.json").read_bytes()) == plan
    assert stat.S_IMODE((site / "site.key").stat().st_mode) == 0o600
    answer, key = read_answer(site / "flu.answer")
    assert (answer.site, answer.plan_digest) == ("north", plan.digest)
    assert courier.node_key.with_name("node.key.pub").read_text() == f"{answer.node_key} north\n"
    own = json.loads(done("site", "key", "--config", site / "site.toml", "--json"))
    assert own["receipt_key"] == key
    hubs = read_invitation(hub / "flu/invitations/north.invitation")[1]
    assert fingerprint(hubs) in ended.stdout  # to be compared by telephone
    assert fingerprint(key) in ended.stdout
    assert f"digest   {plan.digest}" in ended.stdout  # what is approved is shown


def test_it_can_be_repeated_and_a_second_study_is_joined_with_the_same_files(hub, tmp_path):
    site = tmp_path / "site"
    assert join(hub, site).returncode == 0
    before = (site / "site.key").read_bytes(), (site / "courier/node.key").read_bytes()
    again = join(hub, site)
    assert again.returncode == 0, again.stderr
    assert "approved before" in again.stdout
    if not (hub / "cold").exists():
        begin(hub, "cold")
    assert join(hub, site, "--yes", study="cold").returncode == 0
    assert len(Policy.load(site / "policy.toml").approved_plans) == 2
    assert ((site / "site.key").read_bytes(), (site / "courier/node.key").read_bytes()) == before


def test_a_new_site_is_asked_for_what_only_it_knows(hub, tmp_path):
    ended = join(hub, tmp_path / "site", "--dataset", "people")
    assert ended.returncode == 2
    assert "--data: the site's table; --max-epsilon: what may be spent" in ended.stderr
    assert not (tmp_path / "site").exists()


def test_a_plan_that_costs_too_much_is_not_approved_and_the_answer_is_there(hub, tmp_path):
    site = tmp_path / "site"
    ended = join(hub, site, "--data", hub / "t.csv", "--dataset", "people", "--max-epsilon", "0.5")
    assert ended.returncode == 1
    assert "would refuse it" in ended.stderr
    assert "later: fedsynth site approve" in ended.stdout
    assert Policy.load(site / "policy.toml").approved_plans == ()


def test_a_table_that_does_not_fit_is_said_and_the_command_can_be_repeated(hub, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text((hub / "t.csv").read_text().replace("false", "perhaps"))
    options = ("--data", table, "--dataset", "people", "--max-epsilon", "5")
    ended = join(hub, tmp_path / "site", *options)
    assert ended.returncode == 1
    assert "column 'smoker'" in ended.stderr
    assert "correct it, then repeat this command" in ended.stdout
    assert Policy.load(tmp_path / "site/policy.toml").approved_plans == ()
    table.write_text((hub / "t.csv").read_text())
    assert join(hub, tmp_path / "site", *options).returncode == 0


def changed(path, edit):
    fields = json.loads(path.read_text())
    edit(fields)
    path.write_text(json.dumps(fields))


def test_an_invitation_that_was_changed_is_refused(hub, tmp_path):
    file = tmp_path / "i"
    file.write_bytes((hub / "flu/invitations/north.invitation").read_bytes())
    changed(file, lambda f: f.update(content=f["content"].replace("fed.example", "bad.example")))
    ended = fedsynth("site", "join", file, tmp_path / "site")
    assert (ended.returncode, "was changed after it was signed" in ended.stderr) == (2, True)
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b"\xff", b'{"content": 1}', b"x" * 20_000_000]
)
def test_what_is_no_invitation_is_one_line(tmp_path, content):
    (tmp_path / "i").write_bytes(content)
    ended = fedsynth("site", "join", tmp_path / "i", tmp_path / "site")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("error: ")
    assert len(ended.stderr.splitlines()) == 1


def forged(hub, tmp_path, key=None, **changes):
    """The invitation with other content, signed again by the coordinator or by another key."""
    content, _ = read_invitation(hub / "flu/invitations/north.invitation")
    key = key or CoordinatorFolder(hub / "hub").signing_key()
    path = tmp_path / "forged"
    path.write_bytes(signed(content.model_copy(update=changes), key))
    return path


def test_another_key_of_the_coordinator_is_noticed(hub, tmp_path):
    site = tmp_path / "site"
    assert join(hub, site).returncode == 0
    ended = fedsynth("site", "join", forged(hub, tmp_path, Ed25519PrivateKey.generate()), site)
    assert ended.returncode == 2
    assert "another key signed the earlier invitations" in ended.stderr


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"superlink": "bad.example.org:444"}, "ask the coordinator which is right"),
        ({"site": "south"}, "names the site north"),
        ({"authority": "another"}, "names another authority"),
        ({"bundle": "!"}, "not base64"),
        ({"bundle": "AAAA"}, "bundle"),
        ({"study": "other"}, "does not fit its own plan"),
        ({"site": "east"}, "does not fit its own plan"),
    ],
)
def test_an_invitation_that_does_not_fit_the_site_is_refused(hub, tmp_path, changes, said):
    site = tmp_path / "site"
    assert join(hub, site).returncode == 0
    before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}
    ended = fedsynth("site", "join", forged(hub, tmp_path, **changes), site, "--yes")
    assert ended.returncode == 2
    assert said in ended.stderr
    assert {path: path.read_bytes() for path in site.rglob("*") if path.is_file()} == before


# --- the coordinator's side ----------------------------------------------------------------------


def test_the_coordinators_folder_is_closed_and_its_certificate_names_the_host(hub):
    made = CoordinatorFolder(hub / "hub")
    for path in (made.secret, made.invitation_key, made.authority / "ca.key"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    shown = x509.load_pem_x509_certificate((made.certificates / "server.pem").read_bytes())
    names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "fed.example.org"]
    shown.verify_directly_issued_by(x509.load_pem_x509_certificate(made.ca.read_bytes()))
    assert "@" not in made.proxy.read_text().split("daemon off;")[1]
    again = fedsynth("coordinator", "init", hub / "hub", "--host", "fed.example.org")
    assert (again.returncode, "is not empty" in again.stderr) == (2, True)


@pytest.mark.parametrize("host", ["", "a b", "https://a", "a:1", "a/b", "x" * 300])
def test_a_host_is_a_name_or_an_address(tmp_path, host):
    ended = fedsynth("coordinator", "init", tmp_path / "hub", "--host", host)
    assert (ended.returncode, "--host" in ended.stderr) == (2, True)
    assert not (tmp_path / "hub").exists()


def test_an_answer_for_another_plan_or_with_another_key_is_refused(hub, tmp_path):
    """Before the SuperLink is asked for anything."""
    assert join(hub, tmp_path / "site").returncode == 0
    answer, key = read_answer(tmp_path / "site/flu.answer")
    study = StudyFolder(hub / "flu")
    for changes, said in (
        ({"plan_digest": "0" * 64}, "another plan"),
        ({"study": "cold"}, "another plan"),
        ({"site": "east"}, "is not a site"),
    ):
        with pytest.raises(InputError, match=said):
            admit(study, answer.model_copy(update=changes), key)
    text = study.config_file.read_text()
    study.config_file.write_text(text.replace('# north = ""', f'north = "{"0" * 64}"'))
    try:
        with pytest.raises(InputError, match="another receipt key"):
            admit(study, answer, key)
    finally:
        study.config_file.write_text(text)


def test_an_invitation_is_for_a_site_of_the_plan_and_replaces_nothing(hub, tmp_path):
    ended = fedsynth("study", "invite", hub / "flu", "east", "--coordinator", hub / "hub")
    assert (ended.returncode, "is not a site of" in ended.stderr) == (2, True)
    ended = fedsynth("study", "invite", hub / "flu", "north", "--coordinator", hub / "hub")
    assert (ended.returncode, "--force" in ended.stderr) == (2, True)
    out = tmp_path / "north.invitation"
    done("study", "invite", hub / "flu", "north", "--coordinator", hub / "hub", "--out", out)
    assert read_invitation(out) == read_invitation(hub / "flu/invitations/north.invitation")
