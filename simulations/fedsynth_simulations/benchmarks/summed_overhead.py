"""`fedsynth benchmark secure-sum`: what a secure sum costs in messages, bytes and seconds.

The same two questions are put to the same sites twice, once with local noise and once as a secure sum:
the histograms and the pairs of columns of the demonstration table, with the bins that a study chose.
The sites run in this process, and messages and bytes are those of their bodies; Flower's own bytes
(`fedsynth benchmark overhead`) are the same for every message. Seconds are those of one core: what a
site takes to mask 10 MB of counts, and the coordinator to open the sum.
"""

import itertools
import time
from dataclasses import dataclass
from statistics import median

import numpy as np
import pandas as pd

from fedsynth_common.array_types import Int64Array
from fedsynth_common.errors import FedsynthError
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import domains
from fedsynth_common.secure_sum.keys import PartyKeys, sign_keys
from fedsynth_common.secure_sum.masks import SumStep, mask, to_words
from fedsynth_common.secure_sum.roster import roster_of
from fedsynth_common.secure_sum.shares import Kind, make_shares, share_in
from fedsynth_common.secure_sum.terms import SumTerms
from fedsynth_release.decoding import Codebook
from fedsynth_server.aggregation.marginal_queries import (
    MarginalQueries,
    all_pairs,
    histogram_queries,
    marginal_queries,
)
from fedsynth_server.messages.exchange import Timing
from fedsynth_server.messages.journal import NoJournal
from fedsynth_server.messages.opening import opened_sum
from fedsynth_server.messages.secure_session import ONCE, SecureSums
from fedsynth_server.messages.session import Session
from fedsynth_server.progress import StudyProgress
from fedsynth_server.study.planning import make_plan
from fedsynth_server.study.roster import make_secure_sum
from fedsynth_server.study.study import Study
from fedsynth_server.training.settings import TrainingSettings
from fedsynth_simulations.demo_data import demo_schema, demo_table
from fedsynth_simulations.federation import SigningKeys, in_process, new_keys, public_hex
from fedsynth_simulations.grid import InProcessGrid

MASKED_BYTES = 10_000_000
REPEATS = 3
_TIMING = Timing(deadline=3600.0, poll=0.0)


@dataclass(frozen=True)
class StepCost:
    """One measured step, per site: messages and bytes of requests and replies, with either trust."""

    step: int
    local_messages: int
    local_bytes: int
    summed_messages: int
    summed_bytes: int

    @property
    def ratio(self) -> float:
        """Bytes of the secure sum over those with local noise."""
        return self.summed_bytes / self.local_bytes


@dataclass(frozen=True)
class SumCost:
    """What a secure sum of `sites` sites costs.

    Attributes:
        steps: of the histograms, then of the pairs.
        once_messages, once_bytes: of keys and shares, once a study, per site.
        mask_seconds, open_seconds: for 10 MB, at a site and at the coordinator; medians.
    """

    sites: int
    steps: tuple[StepCost, ...]
    once_messages: int
    once_bytes: int
    mask_seconds: float
    open_seconds: float

    @property
    def lines(self) -> list[str]:
        """For people to read."""
        steps = [
            f"  step {s.step}: {s.local_messages} message, {s.local_bytes:,} bytes with local noise; "
            f"{s.summed_messages} messages, {s.summed_bytes:,} bytes ({s.ratio:.2f} times)"
            for s in self.steps
        ]
        return [
            f"{self.sites} sites, per site",
            *steps,
            f"  once a study: {self.once_messages} messages, {self.once_bytes:,} bytes",
            f"  10 MB: {self.mask_seconds:.2f} s to mask at a site, {self.open_seconds:.2f} s to open",
        ]


class _Meter(NoJournal):
    """Stands where the journal stands, so that it sees when each exchange of a session begins."""

    def __init__(self, plan: Plan, grid: InProcessGrid) -> None:
        self._grid, self._sites = grid, len(plan.sites)
        self._begun: list[tuple[int, int, int]] = []
        self.session = Session(plan, grid, _TIMING, self)
        self.session.enroll()

    def request(self, method: str, step: int, body: bytes) -> bytes:
        """See `NoJournal`; an exchange begins."""
        self._note(step)
        return body

    def _note(self, step: int) -> None:
        messages = self._grid.exchanged // self._sites
        self._begun.append((step, messages, self.session.bytes_per_site))

    def of_step(self, step: int) -> tuple[int, int]:
        """Messages and bytes per site of all exchanges of a step so far."""
        self._note(-1)
        between = itertools.pairwise(self._begun)
        used = [(m - n, b - a) for (at, n, a), (_, m, b) in between if at == step]
        return sum(messages for messages, _ in used), sum(size for _, size in used)


def sum_cost(number: int) -> SumCost:
    """What a secure sum of so many sites costs."""
    names = tuple(f"site-{k:02d}" for k in range(number))
    keys, frames = new_keys(names), _frames(names)
    local, summed = _plan(names, None), _plan(names, keys)
    grid = in_process(frames, local, None, keys)
    codebook = _codebook(local, grid)
    plain, secure = _Meter(local, grid), _Meter(summed, in_process(frames, summed, None, keys))
    sums = SecureSums(secure.session)
    for index in range(len(local.measure)):
        plain.session.measure(_question(local, codebook, index), local.measure[index])
        sums.measure(_question(summed, codebook, index), index)
    steps = tuple(
        StepCost(s.step, *plain.of_step(s.step), *secure.of_step(s.step)) for s in local.measure
    )
    return SumCost(number, steps, *secure.of_step(ONCE), *_seconds(summed, keys))


def _codebook(plan: Plan, grid: InProcessGrid) -> Codebook:
    """The bins that a study of this plan chooses."""
    study = Study(plan, TrainingSettings(), grid, StudyProgress(), _TIMING)
    study.session.enroll()
    return study.measure_histograms().codebook


def _question(plan: Plan, codebook: Codebook, index: int) -> MarginalQueries:
    step, rows, found = plan.measure[index], plan.table.rows_per_person, domains(plan.table)
    if index == 0:
        return histogram_queries(found, step, rows)
    return marginal_queries(codebook, all_pairs(len(found)), step, rows)


def _plan(names: tuple[str, ...], keys: SigningKeys | None) -> Plan:
    public = {site: public_hex(key) for site, key in keys.items()} if keys else {}
    return make_plan(
        study="overhead",
        table=demo_schema(),
        sites=names,
        records_per_site=5000,
        epsilon=1.0,
        delta=1e-5,
        variant="marginals",
        secure_sum=make_secure_sum(names, public) if keys else None,
    )


def _frames(names: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    """The demonstration table, cut into equal parts."""
    table = demo_table().drop(columns="hospital")
    size = len(table) // len(names)
    return {site: table.iloc[k * size : (k + 1) * size] for k, site in enumerate(names)}


def _seconds(plan: Plan, signing: SigningKeys) -> tuple[float, float]:
    """What a site takes to mask 10 MB, and the coordinator to open the sum of all sites."""
    terms = SumTerms.of(plan)
    parties = tuple(range(len(plan.sites)))
    own = {party: PartyKeys.new(terms) for party in parties}
    shown = {}
    for party, site in enumerate(plan.sites):
        public = own[party].public.to_bytes()
        shown[party] = (public, sign_keys(terms, party, public, signing[site]))
    roster = roster_of(terms, shown)
    at = SumStep(plan.measure[0].step, parties, bytes(32), roster)
    counts = np.zeros(MASKED_BYTES // terms.word_bytes, np.int64)
    masking = []
    for _ in range(REPEATS):
        words = to_words(counts, terms)
        began = time.perf_counter()
        mask(words, own[0], 0, at)
        masking.append(time.perf_counter() - began)
    return median(masking), _seconds_to_open(terms, at, own, counts)


def _seconds_to_open(
    terms: SumTerms, at: SumStep, own: dict[int, PartyKeys], counts: Int64Array
) -> float:
    inputs = {}
    for party in at.parties:
        inputs[party] = to_words(counts, terms)
        mask(inputs[party], own[party], party, at)
    holders = at.parties[: at.roster.threshold]
    shown: dict[int, dict[int, bytes]] = {holder: {} for holder in holders}
    for sender in at.parties:
        content = make_shares(own[sender], at.roster)
        for holder in holders:
            shown[holder][sender] = share_in(content[holder], terms.steps, at.step, Kind.SEED)
    opening = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        opened = opened_sum(terms, at, inputs, shown)
        opening.append(time.perf_counter() - began)
    if opened.any():
        raise FedsynthError("the masks of the benchmark did not cancel")
    return median(opening)
