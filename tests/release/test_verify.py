"""`fedsynth verify` on real studies, and on the same folders after somebody changed something.

Every change is found, under the name of the field that was changed, and nothing else is blamed.
"""

import json
import shutil

import jsonschema
import pytest
from command import fedsynth
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from small_study import DELTA, SCHEMA, SITES, make_small_plan, run_seeded

from fedsynth_client.budget.receipts import receipt_json
from fedsynth_common.errors import InputError
from fedsynth_common.privacy import PrivacyError
from fedsynth_common.privacy.accounting import grid_points
from fedsynth_common.privacy.events import (
    CountsEvent,
    DpSgdEvent,
    GaussianEvent,
    from_dict,
    to_dict,
)
from fedsynth_common.protocol.key_change import key_change
from fedsynth_common.schema import Schema
from fedsynth_release.generator import Generator
from fedsynth_release.statement import PrivacyStatement, SiteCost
from fedsynth_release.statement.model_card import NOTES, model_card
from fedsynth_release.statement.receipt_evidence import Evidence
from fedsynth_release.verification.verify import MAX_ACCOUNTED, _all_rebuilt, verify
from fedsynth_server.study.export import export
from fedsynth_server.study.planning import make_plan

STATEMENT, PLAN, CARD = "privacy_statement.json", "plan.json", "MODEL_CARD.md"
WEIGHTS = "generator.safetensors"
ONE, ALL = "epsilon_if_people_are_at_one_site_only", "epsilon_if_people_may_be_at_every_site"
RDP = "epsilon_rdp_upper_bound"


@pytest.fixture(scope="module")
def plan():
    return make_small_plan("both", study="audited")


@pytest.fixture(scope="module")
def outcome(plan):
    return run_seeded(plan, seed=None)  # noise from the operating system: a private study


@pytest.fixture(scope="module")
def studies(plan, outcome, tmp_path_factory):
    """Finished generators: an ordinary one, one with a lost site, a seeded one, a drafted one."""
    place = tmp_path_factory.mktemp("studies")
    export(plan, outcome, place / "whole")
    receipts = outcome.receipts.copy()
    del outcome.receipts["west"]
    outcome.notes.append("receipt: west: no reply before the deadline")
    export(plan, outcome, place / "lost")
    outcome.receipts.update(receipts)
    outcome.notes.clear()
    drafted = SCHEMA.model_copy(update={"origin": "drafted from data"})
    marginals = {"records_per_site": 500, "epsilon": 3.0, "delta": DELTA, "variant": "marginals"}
    draft_plan = make_plan(study="draft", table=drafted, sites=SITES, **marginals)
    export(draft_plan, run_seeded(draft_plan, seed=7), place / "seeded")
    return place


@pytest.fixture
def folder(studies, tmp_path):
    return shutil.copytree(studies / "whole", tmp_path / "g")


@pytest.fixture
def lost(studies, tmp_path):
    return shutil.copytree(studies / "lost", tmp_path / "g")


@pytest.fixture
def seeded(studies, tmp_path):
    return shutil.copytree(studies / "seeded", tmp_path / "g")


def found(folder, **options):
    """The findings as `file field`, after making sure that each is one readable line."""
    findings = verify(folder, **options).findings
    for finding in findings:
        assert str(finding).startswith(f"{finding.file}: {finding.field}: ")
        assert "\n" not in str(finding)
        assert finding.problem
    return {
        finding.field if finding.file == STATEMENT else f"{finding.file} {finding.field}"
        for finding in findings
    }


def tamper(folder, change, card=True):
    """Change the statement the way a careful forger would: canonical, with a card that fits."""
    fields = json.loads((folder / STATEMENT).read_text())
    before = fields["release_id"]
    change(fields)
    statement = PrivacyStatement.model_validate(fields)
    if fields["release_id"] == before:
        statement = statement.sealed(statement.artefacts)
    (folder / STATEMENT).write_text(statement.to_json(), encoding="utf-8")
    if card:
        text = model_card(Schema.load(folder / "schema.json"), statement)
        (folder / CARD).write_text(text, encoding="utf-8")


def put(*path):
    """A change of one value: put("sites", 0, "epsilon", 1.0)."""

    def change(fields):
        *way, last, value = path
        for step in way:
            fields = fields[step]
        fields[last] = value

    return change


def site_fields(site, *names):
    return {f"sites[{site}].{name}" for name in names}


# --- nothing changed ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["whole", "lost", "seeded"])
def test_a_finished_study_is_consistent(studies, name):
    report = verify(studies / name)
    assert report.findings == ()
    assert report.verdict.startswith("consistent: ")
    for site in report.sites:
        assert site.epsilon_recomputed == site.epsilon_stated
    said = report.statement
    figure = f"ε = {getattr(said, ONE):.4f} at δ = 1e-05 per record at one site"
    assert figure in report.verdict
    assert "not guaranteed: " in report.verdict


@pytest.mark.parametrize(
    "change",
    [
        put("quality", "score", 99),
        put("quality", "light", "unknown"),
        put("quality", "columns", {"good": 4, "fair": 0, "poor": 0, "unknown": 0}),
        put("quality", "how", "measured on all real records"),
    ],
)
def test_a_better_quality_than_the_files_show_is_found(folder, change):
    assert json.loads((folder / STATEMENT).read_text())["quality"]["score"] < 98
    tamper(folder, change)
    assert found(folder) == {"quality"}


def test_a_statement_without_quality_is_that_of_an_earlier_version(folder):
    tamper(folder, lambda fields: fields.pop("quality"))
    assert found(folder) == set()


def test_a_lost_site_needs_no_receipt(studies):
    assert [site.receipt for site in verify(studies / "lost").sites] == ["signed", "signed", "none"]


def test_a_lost_site_is_no_evidence_of_anything(studies):
    """A site that is called lost can hide its receipt, which may say that its noise was seeded."""
    report = verify(studies / "lost")
    lost = next(site.site for site in report.sites if site.receipt == "none")
    assert any(f"anything about {lost}" in question for question in report.not_guaranteed)
    assert f"anything about {lost}" in report.verdict
    assert "anything about" not in verify(studies / "whole").verdict


def test_a_study_without_guarantee_is_consistent_and_says_so(studies):
    report = verify(studies / "seeded")
    assert not report.statement.private
    assert "not private: seeded" in report.verdict
    assert "drafted from data" in report.verdict


def test_known_keys_close_one_question(folder, outcome):
    keys = {site: key.hex() for site, key in outcome.keys.items()}
    report = verify(folder, keys)
    assert report.consistent
    assert not any("--key" in question for question in report.not_guaranteed)
    assert {site.receipt for site in report.sites} == {"signed, key known"}
    some = verify(folder, {"north": keys["north"].upper()})
    assert some.consistent
    assert any("--key" in question for question in some.not_guaranteed)


# --- which release it is -----------------------------------------------------------------------

UNSIGNED = (
    "not signed by a key that you gave, so the whole folder may have been replaced: compare the "
    "release_id with the publisher's"
)
ANOTHER_WAY = "in another way (telephone, letter, published page)"


def release_of(folder):
    return json.loads((folder / STATEMENT).read_text())["release_id"]


def test_a_release_that_no_given_key_signed_is_to_be_compared_by_another_way(folder, outcome):
    keys = {site: key.hex() for site, key in outcome.keys.items()}
    for known in ({}, {"north": keys["north"]}):
        report = verify(folder, known)
        assert report.origin.startswith(f"release_id {release_of(folder)}: {UNSIGNED}")
        assert ANOTHER_WAY in report.origin
        assert report.origin in report.verdict
        assert "\n" not in report.verdict
    signed = verify(folder, keys)
    assert UNSIGNED not in signed.verdict
    assert "nobody signs the generator's files" in signed.origin  # a receipt covers events alone
    assert ANOTHER_WAY in signed.origin
    assert signed.release_id_matches is None


def test_the_release_that_was_told(folder):
    report = verify(folder, release_id=release_of(folder).upper())
    assert report.consistent
    assert report.release_id_matches is True
    told = f"release_id {release_of(folder)}: the one that you gave, so plan, schema, weights "
    assert report.origin.startswith(told)


def test_a_consistent_folder_in_place_of_another_is_found_by_the_release_id_alone(studies, folder):
    told, replaced = release_of(folder), studies / "seeded"
    assert found(replaced) == set()
    assert found(replaced, release_id=told) == {"release_id"}
    report = verify(replaced, release_id=told)
    assert report.release_id_matches is False
    assert report.verdict.startswith("inconsistent: 1 finding(s)")
    assert "NOT the one that you gave" in report.verdict


def test_a_copied_release_id_does_not_help_a_forger(studies, seeded):
    told = release_of(studies / "whole")
    tamper(seeded, put("release_id", told))
    assert found(seeded, release_id=told) == {"release_id"}


def test_another_release_ends_with_1(folder):
    told = release_of(folder)
    good = fedsynth("verify", folder, "--release-id", told)
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.splitlines()[-2].startswith(f"release_id {told}: the one that you gave")
    bad = fedsynth("verify", folder, "--release-id", "0" * 64)
    assert bad.returncode == 1
    assert f"{STATEMENT}: release_id: is not the one given" in bad.stdout


def test_the_release_id_for_machines(folder):
    told = release_of(folder)
    for option, matches, code in (((), None, 0), (("--release-id", "1" * 64), False, 1)):
        done = fedsynth("verify", folder, "--json", *option)
        fields = json.loads(done.stdout)
        assert (done.returncode, fields["release_id"]) == (code, told)
        assert fields["release_id_matches"] is matches
        assert fields["origin"].startswith(f"release_id {told}: ")


@pytest.mark.parametrize("text", ["", "12", "g" * 64, "0" * 65])
def test_what_is_no_release_id_ends_with_2(folder, text):
    result = fedsynth("verify", folder, "--release-id", text)
    assert (result.returncode, result.stdout) == (2, "")
    assert "--release-id" in result.stderr


# --- the statement was changed -----------------------------------------------------------------

WHOLE = [
    (put("sites", 1, "epsilon", 1.5), site_fields("south", "epsilon")),
    (put("sites", 0, RDP, 0.5), site_fields("north", RDP)),
    (put("sites", 2, "delta", 1e-6), site_fields("west", "delta")),
    (put(ONE, 0.9), {ONE}),
    (put(ALL, 2.99), {ALL}),
    (put("delta", 1e-7), {"delta"}),
    (put("delta_if_people_may_be_at_every_site", 1e-5), {"delta_if_people_may_be_at_every_site"}),
    (put("study", "another"), {"study"}),
    (put("plan_digest", "0" * 64), {"plan_digest"}),
    (put("unit", "one hospital"), {"unit"}),
    (put("definition", "secure"), {"definition"}),
    (put("trust", "none needed"), {"trust"}),
    (put("adversary", "everybody"), {"adversary"}),
    (put("charged", ["everything"]), {"charged"}),
    (put("unprotected", []), {"unprotected"}),
    (put("not_promised", []), {"not_promised"}),
    (put("randomness", "a random generator with a known seed"), {"randomness"}),
    (put("accountant", "name", "our own"), {"accountant"}),
    (put("accountant", "rounding", "down"), {"accountant"}),
    (put("accountant", "cross_check", "none"), {"accountant"}),
    (put("accountant", "version", "0.0.1"), {"software"}),
    (put("accountant", "version", "the newest"), {"accountant", "software"}),
    (put("release_id", "0" * 64), {"release_id"}),
    (put("adjacency", "replace one record"), {"adjacency"}),
    (put("overlap", "nobody is at two sites"), {"overlap"}),
    (put("not_charged", ["everything"]), {"not_charged"}),
    (put("numerics", "exact"), {"numerics"}),
    (put("limits", []), {"limits"}),
    (put("smallest_visible_group", 1), {"smallest_visible_group"}),
    (put("rows_per_person", 1), {"rows_per_person"}),
    (put("mechanisms", []), {"mechanisms"}),
    (put("mechanisms", 0, "noise_multiplier", 99.0), {"mechanisms"}),
    (put("mechanisms", 2, "clipping_norm", 0.1), {"mechanisms"}),
    (put("software", {}), {"software"}),
    (put("sites", 0, "dataset", "another"), site_fields("north", "dataset")),
    (put("sites", 1, "ledger_head", "0" * 64), site_fields("south", "ledger_head")),
    (put("sites", 1, "ledger_entries", 1), site_fields("south", "ledger_entries")),
    (put("sites", 2, "package_version", "9"), site_fields("west", "package_version")),
    (put("private", False), {"private"}),
    (put("sites", 0, "signature", "00" * 64), site_fields("north", "signature")),
    (put("sites", 0, "signature", "no hex"), site_fields("north", "signature")),
    (put("sites", 0, "receipt", ""), site_fields("north", "receipt")),
    (put("sites", 0, "receipt_key", "00"), site_fields("north", "receipt_key")),
    (put("artefacts", WEIGHTS, "0" * 64), {f"{WEIGHTS} SHA-256"}),
    (
        put("artefacts", {"schema.json": "0"}),
        {
            f"artefacts[{WEIGHTS}]",
            "artefacts[measurements.json]",
            "artefacts[margins.parquet]",
            "schema.json SHA-256",
        },
    ),
    (put("artefacts", "measurements.json", "0" * 64), {"measurements.json SHA-256"}),
    (put("artefacts", "margins.parquet", "0" * 64), {"margins.parquet SHA-256"}),
    (put("artefacts", "../../etc/passwd", "0"), {"artefacts[../../etc/passwd]"}),
]


@pytest.mark.parametrize(("change", "fields"), WHOLE, ids=[",".join(sorted(f)) for _, f in WHOLE])
def test_a_changed_field_is_named(folder, change, fields):
    tamper(folder, change)
    assert found(folder) == fields


def test_a_figure_that_is_no_number(folder):
    text = (folder / STATEMENT).read_text()
    true = verify(folder).sites[0].epsilon_stated
    (folder / STATEMENT).write_text(text.replace(f'"epsilon": {true}', '"epsilon": NaN', 1))
    assert found(folder) >= {*site_fields("north", "epsilon"), "text"}


def test_the_difference_is_shown(folder):
    true = verify(folder).sites[1].epsilon_stated
    tamper(folder, put("sites", 1, "epsilon", 0.25))
    (finding,) = verify(folder).findings
    assert "states 0.25" in finding.problem
    assert repr(true) in finding.problem
    assert verify(folder).verdict.startswith("inconsistent: 1 finding(s)")


def test_a_last_digit_is_a_difference_of_versions_and_not_a_finding(folder):
    true = verify(folder).sites[1].epsilon_stated
    tamper(folder, put("sites", 1, "epsilon", true - 1e-4))
    assert found(folder) == set()
    tamper(folder, put("sites", 1, "epsilon", true - 2e-4))
    assert found(folder) == site_fields("south", "epsilon")


def cheaper(fields, sites):
    """Leave charges away and state the ε that fits, everywhere."""
    for cost in fields["sites"]:
        if cost["site"] in sites:
            events = [{"kind": "gaussian", "noise_multiplier": 9.0}]
            made = SiteCost.from_events(cost["site"], events, DELTA).model_dump(mode="json")
            cost |= {name: made[name] for name in ("epsilon", RDP, "events")}
    fields[ONE] = max(cost["epsilon"] for cost in fields["sites"])
    fields[ALL] = round(sum(cost["epsilon"] for cost in fields["sites"]), 4)


def test_charges_left_out_everywhere_differ_from_the_receipts(folder):
    tamper(folder, lambda fields: cheaper(fields, SITES))
    charges = {f for site in SITES for f in site_fields(site, "events", "epsilon", RDP)}
    assert found(folder) == {*charges, ONE, ALL}


def test_a_lost_site_is_charged_the_whole_plan(lost):
    tamper(lost, lambda fields: cheaper(fields, ["west"]))
    west = site_fields("west", "events", "epsilon", RDP)
    assert west < found(lost)
    assert found(lost) - west <= {ONE, ALL}


def test_an_event_that_nobody_knows_is_not_composed(lost):
    tamper(lost, put("sites", 0, "events", [{"kind": "magic"}]))
    assert found(lost) == site_fields("north", "events")
    tamper(lost, put("sites", 0, "receipt", ""))  # now only the stated events are left
    assert found(lost) == site_fields("north", "receipt", "events")


def test_what_takes_too_long_to_account_for_is_a_finding(folder, monkeypatch):
    events = json.loads((folder / STATEMENT).read_text())["sites"][0]["events"]
    points = grid_points([from_dict(event) for event in events], DELTA)
    monkeypatch.setattr("fedsynth_release.verification.verify.MAX_ACCOUNTED", points)
    assert found(folder) == set()  # the sites have the same events, which are accounted for once
    tamper(folder, put("sites", 0, "receipt", ""))
    tamper(folder, put("sites", 0, "events", [{"kind": "gaussian", "noise_multiplier": 2.0}]))
    for site in SITES[1:]:
        assert f"sites[{site}].events" in found(folder)


def test_the_work_of_a_hostile_folder_is_bounded(plan, monkeypatch):
    """A thousand sites, each with another training that takes seconds to account for."""
    asked = []
    monkeypatch.setattr(SiteCost, "from_events", lambda site, events, delta: asked.append(events))
    sites = [
        SiteCost.model_construct(site=f"s{k}", events=(to_dict(costly_training(k)),))
        for k in range(1_000)
    ]
    nothing = Evidence(events=None, seeded=False, signed=False, faults=())
    lines = _all_rebuilt(sites, [nothing] * len(sites), plan)
    points = [grid_points(map(from_dict, events), plan.delta) for events in asked]
    assert 0.8 * MAX_ACCOUNTED < sum(points) <= MAX_ACCOUNTED
    assert [isinstance(line, PrivacyError) for line in lines].count(True) == 1_000 - len(asked)
    assert "Do not rely on the stated epsilon" in str(lines[-1])


def costly_training(k):
    return DpSgdEvent(sampling_rate=1e-7, noise_multiplier=0.5, steps=10**6 - k)


def test_a_study_of_ordinary_size_is_far_below_the_bound():
    """Even where each of twenty sites stopped at a message of its own."""
    counts = [CountsEvent(scale=s, sensitivity=1, blocks=b) for s, b in ((31.0, 15), (62.0, 300))]
    sites = [
        [*counts, DpSgdEvent(sampling_rate=0.0625, noise_multiplier=6.1, steps=1_000 - k)]
        for k in range(20)
    ]
    assert sum(grid_points(events, DELTA) for events in sites) < MAX_ACCOUNTED / 4


def test_a_lost_site_cannot_have_a_receipt(folder):
    tamper(folder, put("sites", 0, "status", "lost"))
    expected = site_fields("north", "receipt", "signature", "receipt_key", "events")
    assert expected <= found(folder)


def test_a_lost_site_cannot_be_called_complete(lost):
    tamper(lost, put("sites", 2, "status", "complete"))
    assert found(lost) == site_fields("west", "receipt")


def test_sites_are_those_of_the_plan(folder):
    def drop(fields):
        fields["sites"].pop()
        fields[ALL] = round(sum(cost["epsilon"] for cost in fields["sites"]), 4)
        fields["delta_if_people_may_be_at_every_site"] = 2 * DELTA

    tamper(folder, drop)
    assert found(folder) == {"sites", "smallest_visible_group", "limits"}


@pytest.mark.parametrize("change", ["reformatted", "repeated"])
def test_a_statement_that_two_readers_read_differently(folder, change):
    text = (folder / STATEMENT).read_text()
    fields = json.dumps(json.loads(text))
    (folder / STATEMENT).write_text(
        fields if change == "reformatted" else text.replace("{", '{"private": false,', 1)
    )
    assert found(folder) == {"text"}


# --- receipts ----------------------------------------------------------------------------------


def receipt_of(folder, site):
    fields = json.loads((folder / STATEMENT).read_text())
    return next(cost for cost in fields["sites"] if cost["site"] == site)


def resigned(folder, site, key=None, body=None, **changes):
    """A change that replaces a site's receipt by one signed with a key of the forger."""
    key = key or Ed25519PrivateKey.generate()
    old = json.loads(bytes.fromhex(receipt_of(folder, site)["receipt"]))
    fields = {
        "study": old["study"],
        "plan_digest": old["plan_digest"],
        "dataset": old["dataset"],
        "events": [from_dict(event) for event in old["events"]],
        "head": old["ledger"]["head"],
        "seeded": old["seeded"],
    }
    body = receipt_json(**(fields | changes)) if body is None else body

    def change(stated):
        cost = next(cost for cost in stated["sites"] if cost["site"] == site)
        public = key.public_key().public_bytes_raw()
        cost |= {
            "receipt": body.hex(),
            "signature": key.sign(body).hex(),
            "receipt_key": public.hex(),
        }

    return change


def test_an_edited_receipt_has_no_signature(folder):
    body = bytes.fromhex(receipt_of(folder, "north")["receipt"])
    edited = body.replace(b'"dataset":"simulated-', b'"dataset":"simuLated-')
    assert edited != body
    tamper(folder, put("sites", 0, "receipt", edited.hex()))
    assert found(folder) == site_fields("north", "signature")


def test_receipts_of_two_sites_cannot_change_places(folder):
    def swap(fields):
        north, south = fields["sites"][:2]
        for name in ("receipt", "signature"):
            north[name], south[name] = south[name], north[name]

    tamper(folder, swap)
    assert found(folder) == site_fields("north", "signature") | site_fields("south", "signature")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"study": "other"}, "receipt.study"),
        ({"plan_digest": "1" * 64}, "receipt.plan_digest"),
        ({"body": b"not JSON"}, "receipt"),
        ({"body": b"[" * 100_000}, "receipt"),
        ({"body": b'{"format_version": 2}'}, "receipt"),
    ],
)
def test_a_signed_receipt_of_something_else(folder, changes, field):
    tamper(folder, resigned(folder, "south", **changes))
    assert found(folder) == site_fields("south", field)


def stated_as(folder, site, events):
    """State the forged events too, so that only the receipt can give them away."""
    made = SiteCost.from_events(site, [to_dict(e) for e in events], DELTA).model_dump(mode="json")

    def change(fields):
        cost = next(cost for cost in fields["sites"] if cost["site"] == site)
        cost |= {name: made[name] for name in ("epsilon", RDP, "events")}
        fields[ONE] = max(cost["epsilon"] for cost in fields["sites"])
        fields[ALL] = round(sum(cost["epsilon"] for cost in fields["sites"]), 4)

    return change


def test_only_a_known_key_finds_a_forger_who_signs(folder, outcome):
    events = [GaussianEvent(noise_multiplier=50.0)]
    tamper(folder, resigned(folder, "south", events=events))
    tamper(folder, stated_as(folder, "south", events))
    assert found(folder) == set()  # why the verdict says what is not guaranteed
    known = {"south": outcome.keys["south"].hex()}
    assert found(folder, keys=known) == site_fields("south", "receipt_key")


def test_a_release_of_a_replaced_key_is_led_back_to_its_site(folder, outcome, tmp_path):
    """The auditor knows the new key, and the file by which the old one was replaced."""
    old, new = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    tamper(folder, resigned(folder, "south", key=old))
    known = f"south={new.public_key().public_bytes_raw().hex()}"
    change = tmp_path / "south.key-change"
    change.write_bytes(key_change("south", old, new))
    assert fedsynth("verify", folder, "--key", known).returncode == 1
    ended = fedsynth("verify", folder, "--key", known, "--key-change", change, "--json")
    assert ended.returncode == 0, ended.stdout
    receipts = [site["receipt"] for site in json.loads(ended.stdout)["sites"]]
    assert receipts == ["signed", "signed, key known", "signed"]
    change.write_bytes(key_change("north", old, new))  # of another site
    assert fedsynth("verify", folder, "--key", known, "--key-change", change).returncode == 1


@pytest.mark.parametrize("event", ["loud", "more steps", "other noise"])
def test_a_receipt_beyond_the_plan(folder, plan, event):
    d = plan.discriminator
    steps = d.messages * d.steps_per_message
    usual = {"sampling_rate": d.sampling_rate, "noise_multiplier": d.noise_multiplier}
    events = {
        "loud": GaussianEvent(noise_multiplier=0.9),
        "more steps": DpSgdEvent(**usual, steps=steps + 1),
        "other noise": DpSgdEvent(**(usual | {"noise_multiplier": 0.9}), steps=1),
    }[event]
    tamper(folder, resigned(folder, "south", events=[events]))
    tamper(folder, stated_as(folder, "south", [events]))
    assert found(folder) == site_fields("south", "receipt.events")


def test_one_key_cannot_sign_for_two_sites(folder):
    key = Ed25519PrivateKey.generate()
    for site in ("north", "west"):
        tamper(folder, resigned(folder, site, key=key))
    assert found(folder) == site_fields("west", "receipt_key")


# --- caveats -----------------------------------------------------------------------------------


def test_a_seeded_receipt_voids_the_guarantee(folder):
    tamper(folder, resigned(folder, "west", seeded=True))
    assert found(folder) == {"caveats", "private", "randomness"}


@pytest.mark.parametrize("word", ["seeded", "drafted"])
def test_a_caveat_that_was_left_out(seeded, word):
    def forget(fields):
        fields["caveats"] = [caveat for caveat in fields["caveats"] if word not in caveat]

    tamper(seeded, forget)
    (finding,) = verify(seeded).findings
    assert (finding.file, finding.field) == (STATEMENT, "caveats")
    assert word in finding.problem


def test_private_in_spite_of_caveats(seeded):
    tamper(seeded, put("private", True))
    assert found(seeded) == {"private"}
    tamper(seeded, put("caveats", []))
    assert found(seeded) == {"private", "caveats"}


def test_more_caveats_than_needed_are_welcome(folder):
    tamper(folder, put("caveats", ["one site had a power cut"]))
    assert found(folder) == set()


def test_what_nobody_can_check_is_named_as_such(folder):
    tamper(folder, put("contact", "somebody@example.org"))
    assert found(folder) == set()
    assert any("contact" in question for question in verify(folder).not_guaranteed)


# --- the other files ---------------------------------------------------------------------------


def test_other_weights_are_found_here_and_when_loading(folder):
    with safe_open(folder / WEIGHTS, framework="pt") as file:
        metadata = file.metadata()
    tensors = load_file(folder / WEIGHTS)
    tensors["network.logits"][0] += 0.25  # a sound generator, but another one
    save_file(tensors, folder / WEIGHTS, metadata=metadata)
    assert found(folder) == {f"{WEIGHTS} SHA-256"}
    with pytest.raises(InputError, match=rf"{WEIGHTS}: its SHA-256 is not the one in {STATEMENT}"):
        Generator.load(folder)


def test_another_schema(folder):
    SCHEMA.model_copy(update={"name": "another"}).save(folder / "schema.json")
    assert found(folder) == {"schema.json SHA-256", "schema.json columns", f"{CARD} text"}


def test_other_measurements(folder):
    path = folder / "measurements.json"
    fields = json.loads(path.read_text())
    fields["records"] += 1
    path.write_text(json.dumps(fields))
    assert found(folder) == {"measurements.json SHA-256"}
    fields["columns"][0]["name"] = "another"
    path.write_text(json.dumps(fields))
    assert found(folder) == {"measurements.json SHA-256", "measurements.json columns"}
    path.write_text("{}")
    assert found(folder) == {"measurements.json SHA-256", "measurements.json columns"}
    path.unlink()
    assert found(folder) == {"artefacts[measurements.json]"}


def test_measurements_that_nobody_states(folder):
    def forget(fields):
        del fields["artefacts"]["measurements.json"]

    tamper(folder, forget)
    assert found(folder) == {"artefacts[measurements.json]"}


def test_a_relaxed_plan_has_another_digest(folder):
    fields = json.loads((folder / PLAN).read_text()) | {"epsilon": 30.0}
    (folder / PLAN).write_text(json.dumps(fields, sort_keys=True, separators=(",", ":")))
    receipts = {f"sites[{site}].receipt.plan_digest" for site in SITES}
    assert found(folder) == {"plan_digest", *receipts}


def test_a_plan_that_costs_more_than_it_says(folder):
    fields = json.loads((folder / PLAN).read_text()) | {"epsilon": 0.5}
    (folder / PLAN).write_text(json.dumps(fields, sort_keys=True, separators=(",", ":")))
    assert f"{PLAN} epsilon" in found(folder)


def test_a_reformatted_plan(folder):
    (folder / PLAN).write_text(json.dumps(json.loads((folder / PLAN).read_text()), indent=1))
    assert found(folder) == {f"{PLAN} text"}


def test_the_model_card_is_generated_from_the_statement(folder):
    (folder / CARD).write_text((folder / CARD).read_text().replace("ε = ", "ε < ", 1))
    assert found(folder) == {f"{CARD} text"}
    (folder / CARD).write_bytes(b"\xff\xfe")
    assert found(folder) == {f"{CARD} text"}
    (folder / CARD).unlink()
    assert found(folder) == {f"{CARD} text"}


def test_the_card_of_another_statement(folder):
    tamper(folder, put("sites", 0, "epsilon", 0.5), card=False)
    assert found(folder) == {*site_fields("north", "epsilon"), f"{CARD} text"}


def test_notes_end_the_card_and_nothing_else_may(lost):
    card = (lost / CARD).read_text()
    assert NOTES in card
    (lost / CARD).write_text(card + "- one more note\n")
    assert found(lost) == set()
    (lost / CARD).write_text(card + "\nSafe to publish.\n")
    assert found(lost) == {f"{CARD} text"}


# --- the command -------------------------------------------------------------------------------


def test_consistent_ends_with_0(studies):
    result = fedsynth("verify", studies / "whole")
    assert (result.returncode, result.stderr) == (0, "")
    assert "; ".join(result.stdout.splitlines()[-3:]) == verify(studies / "whole").verdict
    for site in SITES:
        assert site in result.stdout
    assert "anonym" not in result.stdout.lower()


def test_inconsistent_ends_with_1_and_a_line_per_finding(folder):
    tamper(folder, put("sites", 1, "epsilon", 1.5))
    (folder / CARD).unlink()
    result = fedsynth("verify", folder)
    assert result.returncode == 1
    lines = result.stdout.splitlines()
    assert lines[-1].startswith("not guaranteed: ")
    assert lines[-2].startswith("release_id ")
    assert lines[-3].startswith("inconsistent: 2 finding(s)")
    assert lines[-5].startswith(f"{STATEMENT}: sites[south].epsilon: ")
    assert lines[-4].startswith(f"{CARD}: text: missing")


def test_json_for_machines(folder):
    good = fedsynth("verify", folder, "--json")
    fields = json.loads(good.stdout)
    assert good.returncode == 0
    assert (fields["consistent"], fields["findings"], fields["delta"]) == (True, [], DELTA)
    tamper(folder, put(ALL, 1.0))
    bad = fedsynth("verify", folder, "--json")
    assert bad.returncode == 1
    (finding,) = json.loads(bad.stdout)["findings"]
    assert (finding["file"], finding["field"]) == (STATEMENT, ALL)


def test_the_json_schema_describes_the_statement(folder):
    result = fedsynth("verify", "--json-schema")
    assert result.returncode == 0
    described = json.loads(result.stdout)
    stated = json.loads((folder / STATEMENT).read_text())
    of_cohorts = {"cohorts", "epsilon_of_any_record", "cohorts_per_person"}  # left out without any
    assert set(described["properties"]) == set(stated) | of_cohorts
    jsonschema.Draft202012Validator.check_schema(described)
    jsonschema.validate(stated, described)
    for wrong in ({"spec_version": 1}, {"delta": "small"}, {"surprise": 1}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(stated | wrong, described)
    assert set(described["$defs"]["SiteCost"]["properties"]) == set(stated["sites"][0])


def spec_1(folder):
    fields = json.loads((folder / STATEMENT).read_text()) | {"spec_version": 1}
    (folder / STATEMENT).write_text(json.dumps(fields))


UNUSABLE = {
    "spec_version": spec_1,
    STATEMENT: lambda folder: (folder / STATEMENT).write_text("{}"),
    PLAN: lambda folder: (folder / PLAN).write_bytes(b"\xff"),
    "no plan.json": lambda folder: (folder / PLAN).unlink(),
    f"no {WEIGHTS}": lambda folder: (folder / WEIGHTS).unlink(),
    "schema.json": lambda folder: (folder / "schema.json").write_text("[]"),
    "expected the generator folder": shutil.rmtree,
}


@pytest.mark.parametrize("mention", UNUSABLE)
def test_what_cannot_be_checked_ends_with_2(folder, mention):
    UNUSABLE[mention](folder)
    result = fedsynth("verify", folder)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert mention in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "keys", [["north"], ["=00"], ["north=zz"], [f"nobody={'0' * 64}"], [f"north={'é' * 64}"]]
)
def test_a_key_of_no_site_or_no_key(studies, keys):
    options = [part for key in keys for part in ("--key", key)]
    result = fedsynth("verify", studies / "whole", *options)
    assert (result.returncode, result.stdout) == (2, "")
    assert "--key" in result.stderr


def test_a_hostile_name_steers_no_terminal(folder):
    tamper(folder, put("sites", 0, "site", "north\x1b[2J\n[red]"))
    result = fedsynth("verify", folder)
    assert result.returncode == 1
    assert "\x1b" not in result.stdout
    assert "north?[2J?[red]" in result.stdout
