"""A secure sum over the coordinator's exchanges: every site there, and one lost at each phase."""

import numpy as np
import pytest
import torch
from small_study import DELTA, SCHEMA, make_frame

from fedsynth_common.errors import FedsynthError
from fedsynth_common.networks import Discriminator, flatten
from fedsynth_common.privacy.secure_noise import share_variance
from fedsynth_common.schema import domains
from fedsynth_server.aggregation.marginal_queries import histogram_queries
from fedsynth_server.messages.exchange import Timing
from fedsynth_server.messages.journal import Journal
from fedsynth_server.messages.secure_session import SecureSums
from fedsynth_server.messages.session import Session
from fedsynth_server.study.planning import Rounds, make_plan
from fedsynth_server.study.roster import make_secure_sum
from fedsynth_server.training.site_training import SummedTraining
from fedsynth_simulations.federation import in_process, new_keys
from fedsynth_simulations.grid import InProcessGrid

SITES = ("north", "south", "west", "east")
ROWS = 100


class Federation:
    """Four vaults; the last one is lost for good when a message of `phase` is sent to it."""

    def __init__(self, monkeypatch, phase="", lost=("east",), variant="marginals"):
        keys = new_keys(SITES)
        public = {s: k.public_key().public_bytes_raw().hex() for s, k in keys.items()}
        self.plan = make_plan(
            study="study",
            table=SCHEMA,
            sites=SITES,
            records_per_site=500,
            epsilon=3.0,
            delta=DELTA,
            variant=variant,
            rounds=Rounds(messages=3, sampling_rate=0.25),
            secure_sum=make_secure_sum(SITES, public),
        )
        frames = {site: make_frame(ROWS, seed) for seed, site in enumerate(SITES)}
        self.grid = in_process(frames, self.plan, None, keys)
        self.sent = []
        lost_nodes = {2 + SITES.index(site) for site in lost}
        deliver = InProcessGrid._deliver

        def watched(grid, message):
            kind, node = message.metadata.message_type, message.metadata.dst_node_id
            if kind.endswith(f".{phase}") and node in lost_nodes:
                grid.down.add(node)
            self.sent.append((kind.split(".")[1], SITES[node - 2]))
            return deliver(grid, message)

        monkeypatch.setattr(InProcessGrid, "_deliver", watched)

    def sums(self, journal=None, **timing):
        timing = Timing(**{"deadline": 30.0, "poll": 0.01, "quorum": 3, **timing})
        session = Session(self.plan, self.grid, timing, journal)
        session.enroll()
        return SecureSums(session)

    @property
    def queries(self):
        return histogram_queries(domains(SCHEMA), self.plan.measure[0], 1)

    def check(self, opened):
        """The first table counts each record of the sites in the sum once."""
        share = share_variance(self.queries.variance, self.plan.noise_shares)
        for table in opened.counts:
            spread = (share * len(opened.sites) * table.size) ** 0.5
            assert abs(table.sum() - ROWS * len(opened.sites)) < 8 * spread


def test_nobody_missing_takes_two_messages_more_a_step(monkeypatch):
    four = Federation(monkeypatch)
    opened = four.sums().measure(four.queries, 0)
    assert opened.sites == SITES
    four.check(opened)
    kinds = [kind for kind, site in four.sent if site == "north"]
    assert kinds == ["enroll", "keys", "shares", "measure", "unmask"]


@pytest.mark.parametrize("phase", ["keys", "shares", "measure", "unmask"])
def test_a_site_that_vanishes_at_any_phase_is_no_hindrance(monkeypatch, phase):
    four = Federation(monkeypatch, phase)
    opened = four.sums().measure(four.queries, 0)
    assert opened.sites == (SITES if phase == "unmask" else SITES[:3])
    assert (("agree", "north") in four.sent) == (phase == "measure")
    four.check(opened)


class Gradients:
    """A training of the four sites, message by message, with the weights as they were made."""

    def __init__(self, federation, sums):
        widths = [domain.width for domain in domains(SCHEMA)]
        self.network = Discriminator(sum(widths), federation.plan.discriminator.hidden)
        views = [np.arange(width, dtype=np.uint16) for width in widths]
        self.training = SummedTraining(sums._session, sums, views, self.network)

    def run(self, plan):
        seen = []
        for step in plan.discriminator.steps:
            self.training.message(step)
            seen.append(self.training.weights)
        return seen


def test_a_site_that_vanishes_in_training_is_asked_no_more(monkeypatch):
    torch.manual_seed(0)
    four = Federation(monkeypatch, "discriminate", variant="both")
    weights = Gradients(four, four.sums()).run(four.plan)
    assert len(weights) == 3
    assert not np.array_equal(weights[0], weights[1])
    asked = [site for kind, site in four.sent if kind == "discriminate"]
    assert asked == [*SITES, *SITES[:3], *SITES[:3]]
    # the signatures under the smaller set are asked for once, where the site was under masks
    assert [site for kind, site in four.sent if kind == "agree"] == list(SITES[:3])


def test_a_resumed_training_takes_the_same_steps_from_its_journal(monkeypatch, tmp_path):
    four = Federation(monkeypatch, "discriminate", variant="both")
    seen = []
    for _ in range(2):
        torch.manual_seed(0)
        sent = len(four.sent)
        journal = Journal(tmp_path / "journal", four.plan, "settings")
        seen.append(Gradients(four, four.sums(journal, deadline=10.0)).run(four.plan))
    assert all(np.array_equal(a, b) for a, b in zip(*seen, strict=True))
    assert {kind for kind, _ in four.sent[sent:]} == {"enroll"}


def test_the_coordinators_step_is_that_of_adam_with_the_mean_gradient(monkeypatch):
    """Of one step: each weight moves by the rate against the sign of the sum that was opened."""
    torch.manual_seed(0)
    four = Federation(monkeypatch, variant="both")
    sums = four.sums()
    opened = []
    gradient = sums.gradient
    monkeypatch.setattr(sums, "gradient", lambda *a: opened.append(gradient(*a)) or opened[-1])
    made = Gradients(four, sums)
    before = flatten(made.network)
    made.training.message(four.plan.discriminator.first_step)
    ((total, sites),) = opened
    assert sites == SITES
    moved = made.training.weights - before
    rate = four.plan.discriminator.learning_rate
    clear = np.abs(total) > 100
    assert clear.mean() > 0.9
    assert moved[clear] == pytest.approx(-rate * np.sign(total[clear]), rel=1e-2)


def test_more_than_the_plan_allows_to_vanish_open_nothing(monkeypatch):
    four = Federation(monkeypatch, "measure", ("west", "east"))
    with pytest.raises(FedsynthError, match="2 of 4 sites answered"):
        four.sums().measure(four.queries, 0)


def test_a_resumed_study_opens_the_same_sum_from_its_journal(monkeypatch, tmp_path):
    four = Federation(monkeypatch, "measure")
    journal = Journal(tmp_path / "journal", four.plan, "settings")
    first = four.sums(journal, deadline=10.0).measure(four.queries, 0)
    sent = len(four.sent)
    journal = Journal(tmp_path / "journal", four.plan, "settings")
    again = four.sums(journal).measure(four.queries, 0)
    assert again.sites == first.sites
    assert all(np.array_equal(a, b) for a, b in zip(again.counts, first.counts, strict=True))
    assert {kind for kind, _ in four.sent[sent:]} == {"enroll"}
