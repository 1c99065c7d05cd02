"""A whole study in one process: real vaults, real couriers, the in-process grid, the real export.

The papers are checked with other means than ours: ε is recomputed with dp-accounting alone, and
signatures with `cryptography` alone.
"""

import json
from functools import cache

import dp_accounting
import pandas as pd
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from dp_accounting.pld import PLDAccountant
from small_study import DELTA, SCHEMA, SITES, make_frames, make_small_plan, run_seeded, start

from fedsynth_common.encoding import encode
from fedsynth_common.errors import FedsynthError
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_release.generator import Generator
from fedsynth_server.study.export import export
from fedsynth_simulations import federation
from fedsynth_simulations.federation import in_process

FILES = {
    "generator.safetensors",
    "schema.json",
    "measurements.json",
    "margins.parquet",
    "plan.json",
    "privacy_statement.json",
    "MODEL_CARD.md",
}


@pytest.fixture(scope="module", params=["both", "marginals", "gan"])
def plan(request):
    return make_small_plan(request.param)


@pytest.fixture(scope="module")
def finished(plan, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study") / "generator"
    export(plan, run_seeded(plan), folder)
    return folder


def statement_of(folder):
    return json.loads((folder / "privacy_statement.json").read_text())


def counts_in(charged):
    events = [event for event in charged["events"] if event["kind"] == "counts"]
    return sorted(events, key=lambda event: event["scale"])


def recomputed(events, delta):
    """ε of a statement's events by dp-accounting, with nothing of ours."""
    return _recomputed(json.dumps(events), delta)


@cache
def _recomputed(events, delta):
    accountant = PLDAccountant(dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE)
    gaussian = dp_accounting.GaussianDpEvent
    for event in json.loads(events):
        match event["kind"]:
            case "counts":
                blocks = event["blocks"] ** 0.5
                accountant.compose(gaussian(event["scale"] / event["sensitivity"] / blocks))
            case "dp-sgd":
                step = gaussian(event["noise_multiplier"])
                sampled = dp_accounting.PoissonSampledDpEvent(event["sampling_rate"], step)
                accountant.compose(sampled, event["steps"])
            case other:
                raise AssertionError(f"a site was charged for {other}")
    return accountant.get_epsilon(delta)


def test_the_folder_is_complete_and_loads(finished):
    assert {entry.name for entry in finished.iterdir()} == FILES
    generator = Generator.load(finished)
    rows = generator.sample(300, seed=5)
    assert list(rows.columns) == [column.name for column in SCHEMA.modelled]
    assert len(rows) == 300
    encode(rows, SCHEMA)  # every record is one that the schema allows
    assert "not private: seeded" in (finished / "MODEL_CARD.md").read_text()


def test_epsilon_recomputes_from_the_statement_with_dp_accounting_alone(finished, plan):
    statement = statement_of(finished)
    assert [site["site"] for site in statement["sites"]] == list(SITES)
    for site in statement["sites"]:
        exact = recomputed(site["events"], site["delta"])
        assert site["epsilon"] == pytest.approx(exact, rel=5e-3)
        assert 0.9 * plan.epsilon < site["epsilon"] <= plan.epsilon
        assert site["epsilon"] <= site["epsilon_rdp_upper_bound"] + 1e-3
    epsilons = [site["epsilon"] for site in statement["sites"]]
    assert statement["epsilon_if_people_are_at_one_site_only"] == max(epsilons)
    assert statement["epsilon_if_people_may_be_at_every_site"] == pytest.approx(sum(epsilons))
    assert statement["delta_if_people_may_be_at_every_site"] == pytest.approx(3 * DELTA)


def test_the_charges_are_those_of_the_plan(finished, plan):
    for site in statement_of(finished)["sites"]:
        kinds = [event["kind"] for event in site["events"]]
        assert kinds.count("counts") == len(plan.measure)
        steps = [event["steps"] for event in site["events"] if event["kind"] == "dp-sgd"]
        training = plan.discriminator
        assert steps == ([training.messages * training.steps_per_message] if training else [])


def test_receipts_are_signed_and_say_what_the_statement_says(finished, plan):
    for site in statement_of(finished)["sites"]:
        body = bytes.fromhex(site["receipt"])
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(site["receipt_key"]))
        key.verify(bytes.fromhex(site["signature"]), body)
        receipt = json.loads(body)
        assert receipt["plan_digest"] == plan.digest
        assert receipt["seeded"] is True
        assert counts_in(receipt) == counts_in(site) != []


def test_a_seeded_statement_says_so_first(finished):
    statement = statement_of(finished)
    assert statement["private"] is False
    assert statement["caveats"][0].startswith("not private: seeded")
    assert statement["randomness"] == "a random generator with a known seed"


@pytest.fixture
def vaults(monkeypatch):
    """The vaults that a study makes, by site."""
    made = {}
    original = federation.make_vault

    def remember(site, *args, **options):
        made[site] = original(site, *args, **options)
        return made[site]

    monkeypatch.setattr(federation, "make_vault", remember)
    return made


def test_ledgers_and_receipts_agree(vaults, tmp_path):
    plan = make_small_plan("both")
    outcome = run_seeded(plan, seed=None)
    export(plan, outcome, tmp_path / "generator")
    statement = statement_of(tmp_path / "generator")
    assert statement["private"] is True
    assert "ChaCha20" in statement["randomness"]
    assert "key from the operating system" in statement["randomness"]
    for site in statement["sites"]:
        ledger = vaults[site["site"]]._ledger
        receipt = json.loads(bytes.fromhex(site["receipt"]))
        charged = [event for charge in ledger.charged() for event in charge.events]
        assert len(receipt["events"]) == len(charged) == len(plan.measure) + 2
        assert receipt["ledger"] == {"head": ledger.head()[1]}
        assert recomputed(receipt["events"], DELTA) == pytest.approx(site["epsilon"], rel=5e-3)


def sampled(outcome, plan, folder):
    return export(plan, outcome, folder).sample(200, seed=9)


def test_a_seed_repeats_the_study_and_entropy_does_not(tmp_path):
    plan = make_small_plan("both")
    tables = [
        sampled(run_seeded(plan, seed), plan, tmp_path / f"{n}")
        for n, seed in enumerate([4, 4, 5, None, None])
    ]
    pd.testing.assert_frame_equal(tables[0], tables[1])
    for a, b in [(0, 2), (0, 3), (3, 4)]:
        assert not tables[a].equals(tables[b])
    first, again = ((tmp_path / f"{n}/generator.safetensors").read_bytes() for n in (0, 1))
    assert first == again


def test_what_the_sites_know_arrives(tmp_path):
    """At a weak ε the generator's table shows the dependence that is in the records."""
    plan = make_small_plan("marginals", epsilon=20.0)
    rows = export(plan, run_seeded(plan), tmp_path / "g").sample(4000, seed=1)
    real = pd.concat(make_frames().values())
    for ward in ("a", "c"):
        assert (rows["ward"] == ward).mean() == pytest.approx(
            (real["ward"] == ward).mean(), abs=0.06
        )
        share = [(t.loc[t["ward"] == ward, "outcome"] == "died").mean() for t in (rows, real)]
        assert share[0] == pytest.approx(share[1], abs=0.12)


# --- sites that are down -----------------------------------------------------------------------


class Cable:
    """Takes a site off the grid once it has answered `answers` messages."""

    def __init__(self, grid, node, answers):
        self.grid, self.node, self.answers = grid, node, answers
        self.original = grid._deliver
        grid._deliver = self.deliver
        if not answers:
            grid.down.add(node)

    def deliver(self, message):
        number = self.original(message)
        if message.metadata.dst_node_id == self.node:
            self.answers -= 1
            if self.answers == 0:
                self.grid.down.add(self.node)
        return number


def interrupted(plan, answers, **timing):
    grid = in_process(make_frames(), plan, 1)
    Cable(grid, 3, answers)  # nodes are numbered from 2: this one is "south"
    return start(grid, plan, **timing).run()


# enrol, histograms, marginals, two discriminator messages, receipt
@pytest.mark.parametrize("answers", [0, 1, 2, 3, 4, 5])
def test_with_a_quorum_a_lost_site_is_marked_and_the_study_finishes(answers, tmp_path):
    plan = make_small_plan("both")
    outcome = interrupted(plan, answers, quorum=2, deadline=0.5)
    generator = export(plan, outcome, tmp_path / "g")
    by_site = {cost.site: cost for cost in generator.statement.sites}
    assert {site: cost.status for site, cost in by_site.items()} == {
        "north": "complete",
        "south": "lost",
        "west": "complete",
    }
    # a silent site may have spent all that the plan allows it: that is what is stated
    assert by_site["south"].epsilon >= by_site["north"].epsilon - 0.01
    assert not by_site["south"].receipt
    assert "| south |" in (tmp_path / "g" / "MODEL_CARD.md").read_text()
    if answers:
        assert any("south" in note and "flower error 5" in note for note in outcome.notes)
    assert len(generator.sample(50, seed=1)) == 50


@pytest.mark.parametrize("answers", [1, 3])
def test_without_the_quorum_the_study_stops_and_names_the_site(answers):
    said = (
        r"2 of 3 sites answered \(south: flower error 5, its courier is not connected any more, so"
    )
    with pytest.raises(FedsynthError, match=said):
        interrupted(make_small_plan("both"), answers, deadline=0.5)


def test_too_few_sites_at_the_start_are_refused():
    with pytest.raises(FedsynthError, match="2 of 3 sites are connected"):
        interrupted(make_small_plan("both"), 0, deadline=0.2)
    with pytest.raises(FedsynthError, match="2 of 3 sites are connected"):
        interrupted(make_small_plan("both"), 0, deadline=0.2, quorum=3)


def test_a_site_that_missed_the_marginals_does_not_bend_them():
    """Frequencies are of the records of the sites that answered, not of all sites."""
    plan = make_small_plan("marginals", epsilon=20.0)
    grid = in_process(make_frames(), plan, 1)
    Cable(grid, 3, 2)
    study = start(grid, plan, quorum=2, deadline=0.5)
    study.session.enroll()
    measured, _ = study.measure_marginals(study.measure_histograms())
    for marginal in measured:
        assert marginal.frequencies.sum() == pytest.approx(1.0, abs=0.1)


def test_a_site_that_refuses_the_plan_is_named_by_its_code():
    plan, other = make_small_plan("both"), make_small_plan("marginals")
    grid = in_process(make_frames(), other, 1)  # the sites have approved another plan
    with pytest.raises(FedsynthError, match=r"enroll: 0 of 3 .*ERR_PLAN"):
        start(grid, plan).run()


def test_a_silent_site_at_the_very_end_costs_its_receipt_and_not_the_study(tmp_path):
    """Everything has been measured and paid for: a lost receipt must not throw it away."""
    plan = make_small_plan("marginals")
    outcome = interrupted(plan, 3, deadline=0.5)  # no quorum: all sites must answer, but for this
    statement = export(plan, outcome, tmp_path / "g").statement
    assert [s.status for s in statement.sites] == ["complete", "lost", "complete"]


@pytest.mark.parametrize("garbage", [b"", b"\x00" * 7])
def test_counts_of_a_wrong_length_are_a_failed_site_and_not_a_failed_study(garbage):
    plan = make_small_plan("marginals")
    grid = in_process(make_frames(), plan, 1)
    original = grid._app

    def lie(message, context):
        reply = original(message, context)
        if context.node_config["site"] == "south" and message.metadata.message_type.endswith(
            "measure"
        ):
            bad = pb.MeasureReply(status="OK", counts=garbage).SerializeToString()
            reply.content["reply"]["body"] = bad
        return reply

    grid._app = lie
    outcome = start(grid, plan, quorum=2).run()
    assert sum("south: ERR_PAYLOAD" in note for note in outcome.notes) == 2
