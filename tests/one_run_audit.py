"""The one-run audit of Steinke, Nasr and Jagielski 2023 (arXiv:2305.08846): canaries, and the bound.

Canaries join a site's table on the flip of a coin each; an adversary gives each a score and guesses the
coins of the highest and the lowest. Too many right guesses refute an ε.
"""

import numpy as np
from scipy import stats

from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.privacy.events import from_dict
from fedsynth_common.protocol.receipt import Receipt

SIDE, DELTA, CONFIDENCE = 32, 1e-6, 0.99
CANARIES = SIDE * SIDE
GUESSES = (32, 64, 128, 256, 512)  # how many coins the adversary dares to call


class Tap:
    """A vault whose replies the coordinator keeps."""

    def __init__(self, vault):
        self.vault, self.replies = vault, []

    def call(self, method, request):
        reply = self.vault.call(method, request)
        self.replies.append((method, request, reply))
        return reply


def claimed_epsilon(outcome):
    reply = outcome.receipts["north"]
    signed = Receipt.opened(reply.receipt_json, reply.signature, outcome.keys["north"])
    receipt = signed.model_dump(mode="json")
    assert not receipt["seeded"]
    return epsilon([from_dict(event) for event in receipt["events"]], DELTA)


def p_value(right, guesses, eps):
    """Chance of at least `right` right guesses under (eps, DELTA)-DP: their Theorem 5.2, App. D."""
    rate = 1 / (1 + np.exp(-eps))
    likely = stats.binom.pmf(np.arange(right)[::-1], guesses, rate)  # right - 1, ..., 0
    mean = np.max(np.cumsum(likely) / np.arange(1, right + 1), initial=0.0)
    return stats.binom.sf(right - 1, guesses, rate) + mean * DELTA * 2 * CANARIES


def lower_bound(scores, coins):
    """Lower confidence bound of ε; the number of guesses is chosen among five (union bound)."""
    order = np.argsort(scores + np.random.default_rng(0).random(CANARIES) * 1e-9)
    alpha, best = (1 - CONFIDENCE) / len(GUESSES), 0.0
    for guesses in GUESSES:
        out, into = order[: guesses // 2], order[-(guesses // 2) :]
        right = int((~coins[out]).sum() + coins[into].sum())
        grid = np.arange(0.0, 12.0, 0.01)
        refuted = [eps for eps in grid if p_value(right, guesses, eps) < alpha]
        best = max([best, *refuted])
    return best
