"""One-run audit of a whole study: what the messages and the finished generator give away at most.

After Steinke, Nasr and Jagielski 2023 (arXiv:2305.08846): each of 1,024 canaries joins a site's
table on the flip of its own coin. An adversary then guesses the coins, and abstains where unsure.
Under (ε, δ)-DP no adversary guesses better than the binomial of their Theorem 5.2 allows, so many
right guesses give a lower bound of ε: one run is enough, because the coins are independent.

Each canary has a cell of the only pair of columns to itself, the worst case for the marginals, and
nobody else is in the table. The adversary is the coordinator (it reads the site's noisy counts) and,
separately, whoever holds the finished generator (it reads the likelihood of each canary).
"""

import numpy as np
import pandas as pd
import pytest
from one_run_audit import CANARIES, DELTA, SIDE, Tap, claimed_epsilon, lower_bound
from small_study import start

from fedsynth_client.courier import make_courier
from fedsynth_client.vault.callers import LocalVault
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import unpack_counts
from fedsynth_common.schema import CategoricalColumn, Schema
from fedsynth_server.study.planning import Rounds, make_plan
from fedsynth_simulations.federation import make_vault
from fedsynth_simulations.grid import InProcessGrid

pytestmark = [pytest.mark.privacy, pytest.mark.slow]
NAMES = tuple(f"{k:02d}" for k in range(SIDE))
TABLE = Schema(
    name="canaries",
    columns=tuple(CategoricalColumn(name=n, categories=NAMES, other=False) for n in ("a", "b")),
)


def run_study(target, coins):
    """A study of one site that holds exactly the canaries whose coin says so."""
    plan = make_plan(
        study="audit",
        table=TABLE,
        sites=("north",),
        records_per_site=CANARIES // 2,
        epsilon=target,
        delta=DELTA,
        rounds=Rounds(messages=2, steps_per_message=5),
    )
    first, second = np.divmod(np.flatnonzero(coins), SIDE)
    names = np.array(NAMES)
    frame = pd.DataFrame({"a": names[first], "b": names[second]}, dtype="str")
    tap = Tap(LocalVault(make_vault("north", frame, plan, None, None)))
    grid = InProcessGrid(make_courier(lambda _: tap), [{"site": "north"}])
    return start(grid, plan).run(), tap.replies


def score_by_messages(replies):
    """Noisy count of each canary's own cell: the most that the marginals tell about it."""
    last = [reply for method, _, reply in replies if method == "measure"][-1]
    return unpack_counts(pb.MeasureReply.FromString(last).counts, CANARIES)


def score_by_generator(outcome):
    """Likelihood of each canary under the finished generator."""
    assert outcome.codebook.widths == (SIDE, SIDE)
    soft = outcome.network.soft_rows().detach().double().numpy()
    return (soft[:, :SIDE].T @ soft[:, SIDE:]).ravel() / len(soft)


@pytest.mark.parametrize("target", [2.0, 8.0])
def test_a_study_gives_away_no_more_than_the_claimed_epsilon(target, coins):
    outcome, replies = run_study(target, coins)
    claimed = claimed_epsilon(outcome)
    assert 0.5 * target <= claimed <= target  # variances are whole numbers, rounded up
    by_messages = lower_bound(score_by_messages(replies), coins)
    by_generator = lower_bound(score_by_generator(outcome), coins)
    print(f"claimed {claimed:.3f}: messages {by_messages:.2f}, generator {by_generator:.2f}")
    assert by_messages <= claimed
    assert by_generator <= claimed
    if target > 5:
        assert by_messages > 0.5  # the audit sees a signal where ε allows one


def test_the_audit_catches_a_study_without_noise(coins, monkeypatch):
    """The same study, its noise switched off behind the ledger's back."""
    monkeypatch.setattr("fedsynth_client.vault.measure.noisy_counts", lambda counts, *_: counts)
    monkeypatch.setattr("fedsynth_client.vault.dpsgd.gaussian", lambda size, *_: np.zeros(size))
    outcome, replies = run_study(2.0, coins)
    by_messages = lower_bound(score_by_messages(replies), coins)
    by_generator = lower_bound(score_by_generator(outcome), coins)
    print(f"no noise: messages {by_messages:.2f}, generator {by_generator:.2f}")
    assert by_messages > claimed_epsilon(outcome)
