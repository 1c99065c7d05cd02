"""The configuration of a site, the files that `init` writes, approvals written into the policy."""

import json
import os
import re
import stat
import threading
from pathlib import Path

import pytest

from fedsynth_client.budget.policy import Policy
from fedsynth_client.budget.receipts import load_or_create_key
from fedsynth_client.new_site import write_new_site
from fedsynth_client.plans.approvals import add_approval
from fedsynth_client.settings.site_config import SiteConfig, exposed_files
from fedsynth_common.errors import InputError

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
PLACES = ("data", "schema", "policy", "ledger", "key", "socket")


def write(path, **changes):
    fields = {name: f"{name}.file" for name in PLACES} | changes
    lines = [f"{name} = {json.dumps(value)}" for name, value in fields.items() if value is not None]
    path.write_text("\n".join(lines))
    return path


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_relative_places_are_relative_to_the_configuration(tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    source = write(folder / "site.toml", data="/data/t.csv", witness="../w", waived=["name"])
    monkeypatch.chdir(tmp_path)
    for path in (source, Path("site/site.toml")):
        site = SiteConfig.load(path)
        assert site.data == Path("/data/t.csv")
        assert site.table_schema == folder / "schema.file"
        assert site.witness == folder / "../w"
        assert site.waived == ("name",)


@pytest.mark.parametrize("name", PLACES)
def test_every_place_must_be_named(tmp_path, name):
    with pytest.raises(InputError, match=rf"site.toml: {name}: this required field is missing"):
        SiteConfig.load(write(tmp_path / "site.toml", **{name: None}))


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"waved": ["x"]}, "waved"), ({"waived": "x"}, "waived"), ({"data": 3}, "data")],
)
def test_faulty_fields_are_named(tmp_path, changes, field):
    with pytest.raises(InputError, match=field):
        SiteConfig.load(write(tmp_path / "site.toml", **changes))


def test_unreadable_configurations_are_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        SiteConfig.load(tmp_path / "site.toml")
    (tmp_path / "site.toml").write_text("data = ")
    with pytest.raises(InputError, match="not valid TOML"):
        SiteConfig.load(tmp_path / "site.toml")
    with pytest.raises(InputError, match="ending in"):
        SiteConfig.load(tmp_path / "site.yaml")


def test_a_new_site_can_be_loaded_once_its_people_are_named(tmp_path):
    paths = write_new_site(
        tmp_path / "s",
        data=Path("a b.csv"),
        schema=Path('q"uote.json'),
        dataset="people",
        site="north",
        max_epsilon=2.5,
    )
    site, policy = SiteConfig.load(paths[0]), Policy.load(paths[1])
    assert site.data == Path.cwd() / "a b.csv"
    assert site.table_schema.name == 'q"uote.json'
    assert (policy.dataset, policy.site, policy.max_epsilon) == ("people", "north", 2.5)
    assert policy.approved_plans == ()
    assert exposed_files(site, paths[0]) == []


def test_a_new_site_without_a_name_for_its_people_cannot_start(tmp_path):
    _, policy, *_ = write_new_site(tmp_path / "s")
    with pytest.raises(InputError, match="dataset"):
        Policy.load(policy)


def test_new_files_are_closed_to_others_whatever_the_umask(tmp_path):
    before = os.umask(0)
    try:
        paths = write_new_site(tmp_path / "s")
    finally:
        os.umask(before)
    assert [mode(path) for path in paths] == [0o600] * 4
    assert mode(tmp_path / "s") == 0o700


@pytest.mark.parametrize("name", ["site.toml", "policy.toml"])
def test_nothing_is_replaced(tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=f"{name}: exists"):
        write_new_site(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_an_existing_key_is_kept(tmp_path):
    load_or_create_key(tmp_path / "site.key")
    key = (tmp_path / "site.key").read_bytes()
    write_new_site(tmp_path)
    assert (tmp_path / "site.key").read_bytes() == key


def test_files_that_others_may_use_are_found(tmp_path):
    paths = write_new_site(tmp_path / "s", dataset="people")
    site = SiteConfig.load(paths[0])
    for path, bits in zip(paths[:3], (0o602, 0o602, 0o640), strict=True):
        path.chmod(bits)
    assert [fault.split(" ")[0] for fault in exposed_files(site, paths[0])] == [
        "key",
        "policy",
        "configuration",
    ]
    far = site.model_copy(update={"socket": tmp_path / ("x" * 120), "ledger": tmp_path / "no/l.db"})
    found = " ".join(exposed_files(far, paths[0]))
    assert "longer than 107 bytes" in found
    assert "folder does not exist" in found


POLICY = (
    'dataset = "people"  # note\nmax_epsilon = 3\nmax_delta = 1e-6\n{}\nmin_records = 5 # end\n'
)


@pytest.mark.parametrize(
    "approved",
    [
        "approved_plans = []",
        "approved_plans=[ ]   # none yet",
        f'approved_plans = ["{B}"]',
        f'approved_plans = [\n  "{B}",  # the second ] study\n  "{C}"\n]',
        f'approved_plans = [\n  # the first study\n  "{B}",\n]',
        '"approved_plans" = []',
        "'approved_plans' = []  # approved_plans = [",
    ],
)
def test_an_approval_changes_its_line_and_no_other(tmp_path, approved):
    path = tmp_path / "policy.toml"
    path.write_text(POLICY.format(approved))
    path.chmod(0o640)
    before = Policy.load(path)
    assert add_approval(path, A)
    after = Policy.load(path)
    assert after == before.model_copy(update={"approved_plans": (A, *before.approved_plans)})
    text = path.read_text()
    assert all(comment in text for comment in re.findall("#.*", POLICY.format(approved)))
    assert all(line in text for line in POLICY.format("").splitlines())
    assert mode(path) == 0o640
    assert os.listdir(tmp_path) == ["policy.toml"]
    assert not add_approval(path, A)


def test_an_approval_in_json(tmp_path):
    path = tmp_path / "policy.json"
    fields = {"dataset": "p", "max_epsilon": 1, "max_delta": 1e-5, "approved_plans": [B]}
    path.write_text(json.dumps(fields))
    assert add_approval(path, A)
    assert Policy.load(path).approved_plans == (A, B)


def test_a_policy_that_approves_any_plan_stays_as_it_is(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(POLICY.format('approved_plans = "any"'))
    assert not add_approval(path, A)


@pytest.mark.parametrize("changed", ["max_epsilon = 30", "", "not TOML", f"x = 1\n{POLICY}"])
def test_a_policy_that_cannot_be_edited_safely_is_left_alone(tmp_path, monkeypatch, changed):
    path = tmp_path / "policy.toml"
    text = POLICY.format("approved_plans = []")
    path.write_text(text)
    # a fault of the editor
    monkeypatch.setattr("fedsynth_client.plans.approvals._edited", lambda *_: changed)
    with pytest.raises(InputError, match=A):
        add_approval(path, A)
    assert path.read_text() == text


def test_a_linked_policy_is_changed_where_it_lies(tmp_path):
    real, link = tmp_path / "real.toml", tmp_path / "link.toml"
    real.write_text(POLICY.format("approved_plans = []"))
    link.symlink_to(real)
    add_approval(link, A)
    assert link.is_symlink()
    assert Policy.load(real).approved_plans == (A,)


def test_approvals_at_once_are_all_kept(tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text(POLICY.format("approved_plans = []"))
    digests = [f"{number:064x}" for number in range(8)]
    threads = [threading.Thread(target=add_approval, args=(path, digest)) for digest in digests]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(Policy.load(path).approved_plans) == digests


@pytest.mark.parametrize("cap", [0.0, -1.0, float("nan"), float("inf")])
def test_a_cap_that_is_none_is_refused(tmp_path, cap):
    with pytest.raises(InputError, match="--max-epsilon"):
        write_new_site(tmp_path / "s", max_epsilon=cap)
    assert not (tmp_path / "s").exists()
