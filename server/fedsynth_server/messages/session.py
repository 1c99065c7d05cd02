"""A session with the sites of one plan: who takes part, what was asked, and what went wrong.

`exchange` sends bytes to nodes. This file knows the plan. It says which node is which site, leaves out
replies that do not fit, takes from the journal what was answered before, and keeps the notes that are
written into the documents of the release.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Generic, NamedTuple

from flwr.serverapp import Grid

from fedsynth_common.array_types import Float64Array
from fedsynth_common.errors import FedsynthError
from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.plan import MeasureStep, Plan
from fedsynth_server.aggregation.marginal_queries import MarginalQueries
from fedsynth_server.messages.enrolment import Enrolment
from fedsynth_server.messages.exchange import Answers, Exchange, T, Timing, answered, require_quorum
from fedsynth_server.messages.journal import Closed, NoJournal
from fedsynth_server.messages.waiting import listed
from fedsynth_server.progress import StudyProgress

LONGEST_RECEIPT = 600.0
"""Seconds to wait for receipts. At that time everything has been measured and charged."""


class _Parsed(NamedTuple, Generic[T]):
    """A reply as it is used, and how many bytes it had."""

    content: T
    size: int


class Session:
    """The plan's sites on a Flower grid.

    Attributes:
        digest: the plan's digest, 32 bytes.
        enrolment: which node is which site.
        left_out: sites that are not asked any more, and why.
        notes: one line for every site that failed to answer, and when.
    """

    def __init__(
        self,
        plan: Plan,
        grid: Grid,
        timing: Timing,
        journal: NoJournal | None = None,
        progress: StudyProgress | None = None,
    ) -> None:
        self.plan, self.timing = plan, timing
        self.digest = bytes.fromhex(plan.digest)
        self.journal = journal or NoJournal()
        self.progress = progress or StudyProgress()
        self.enrolment = Enrolment(plan, grid, timing, self.journal, self.progress)
        self.left_out: dict[str, str] = {}
        self.notes: list[str] = []
        self.step = 0
        self._grid = grid
        self._reliable = set(plan.sites)
        self._bytes = 0

    @property
    def keys(self) -> dict[str, bytes]:
        """Receipt keys of the sites that ever enrolled, in the plan's order."""
        return self.enrolment.keys

    @property
    def asked(self) -> list[str]:
        """The sites that the next message goes to, in the plan's order."""
        return [site for site in self.keys if site not in self.left_out]

    @property
    def bytes_per_site(self) -> int:
        """Bytes of requests and replies so far, per enrolled site."""
        return self._bytes // max(1, len(self.keys))

    def epsilon_spent(self, step: int) -> float:
        """What the plan has cost each site up to and including a step."""
        sent = [(run, bisect_right(run.numbers, step)) for run in self.plan.message_runs]
        charged = [run.event_of(messages) for run, messages in sent if messages]
        return epsilon(charged, self.plan.delta) if charged else 0.0

    def spent(self, step: int) -> str:
        """The same for people to read."""
        return f"{len(self.keys)} sites, ε {self.epsilon_spent(step):.3f} spent"

    def leave_out(self, site: str, why: str) -> None:
        """Send no more requests to a site, so that it is charged no more, and note why."""
        self.left_out[site] = why
        self.notes.append(f"{site} left out from here on: {why}")

    def heard(self, now: bool, loudness: float) -> bool:
        """What was decided after listening: `now` unless an earlier run of the study decided already."""
        heard = self.journal.decided(now)
        told = "more" if heard else "no more"
        follows = "training goes on" if heard else "pairs of columns are measured again"
        self.notes.append(
            f"listening: the discriminators say {told} than noise ({loudness:.2f} of it); {follows}"
        )
        return heard

    def enroll(self) -> None:
        """Learn which node is which site.

        Raises:
            FedsynthError: when fewer sites than the quorum accept the plan.
        """
        self.notes += self.enrolment.enroll()

    def ask(
        self,
        method: str,
        step: int,
        request: bytes,
        parse: Callable[[bytes], T],
        *,
        sites: Sequence[str] | None = None,
        least: int | None = None,
        addition: Callable[[str], bytes] = lambda site: b"",
    ) -> dict[str, T]:
        """Put the same request to every enrolled site; parsed replies in the plan's order.

        Replies in the journal are taken as they are. An exchange that the journal closed is not
        opened again: only a reply that was merged and got lost is asked for.

        Args:
            method: a key of `exchange.KINDS`.
            step: number of the message in the plan.
            request: the serialised request.
            parse: see `Exchange`.
            sites: those that are asked; by default every enrolled site that was not left out.
            least: the fewest good replies that will do; by default the quorum, or all of them.
            addition: further fields of the request for one site, serialised.

        Raises:
            FedsynthError: when fewer sites than that answer well.
        """
        self.step = step
        body = self.first_sent(method, step, request)

        def sized(reply: bytes) -> _Parsed[T]:
            return _Parsed(parse(reply), len(reply))

        good = {
            site: sized(reply)
            for site, reply in self.journal.replies(method, step).items()
            if site not in self.left_out
        }
        end = self.journal.closed(method, step)
        if end is not None:
            self._recover(method, step, body, sized, good, end, addition)
        else:
            self.enrolment.welcome_latecomers()
            asked = [site for site in self.asked if sites is None or site in sites]
            end = self._finish(method, step, body, sized, good, asked, least, addition)
        self.notes += [f"step {step}: {site}: {code}" for site, code in end.failed.items()]
        merged = {site: good[site] for site in end.merged}
        self._bytes += sum(
            len(body) + len(addition(site)) + reply.size for site, reply in merged.items()
        )
        return {site: reply.content for site, reply in merged.items()}

    def first_sent(self, method: str, step: int, request: bytes) -> bytes:
        """The request as it was first sent, because the sites were charged for these bytes."""
        body = self.journal.request(method, step, request)
        if body != request:
            if method == "measure":  # replies could not be read by another order
                raise FedsynthError(
                    f"{method}: the journal's request of step {step} is not the one that this "
                    "version of fedsynth makes; resume with the version that began the study"
                )
            self.notes.append(
                f"step {step}: sent as journaled; computed anew it differs in rounding"
            )
        return body

    def _finish(
        self,
        method: str,
        step: int,
        body: bytes,
        parse: Callable[[bytes], T],
        good: dict[str, T],
        asked: Sequence[str],
        least: int | None,
        addition: Callable[[str], bytes],
    ) -> Closed:
        """Ask those who have not answered, add their replies to `good`, close the exchange."""
        asked = [site for site in self.plan.sites if site in {*asked, *good}]
        missing = [site for site in asked if site not in good]
        timing = replace(self.timing, quorum=least or self.timing.quorum)
        needed = (timing.quorum or len(asked)) - len(good)
        answers = self._exchange(method, step, body, parse, missing, needed, addition)
        good.update(answers.good)
        require_quorum(timing, method, len(good), len(asked), answers.failed)
        self._reliable = set(good)
        end = Closed([site for site in asked if site in good], answers.failed)
        self.journal.close(method, step, end)
        return end

    def _recover(
        self,
        method: str,
        step: int,
        body: bytes,
        parse: Callable[[bytes], T],
        good: dict[str, T],
        end: Closed,
        addition: Callable[[str], bytes],
    ) -> None:
        """Ask again for replies that were merged before and whose journal entry was damaged."""
        lost = [site for site in end.merged if site not in good]
        answers = self._exchange(method, step, body, parse, lost, len(lost), addition)
        if answers.failed:
            raise FedsynthError(
                f"{method}: the journal has lost replies of step {step} that the study was built on, "
                f"and the sites do not repeat them ({listed(answers.failed)}); start those vaults and "
                "resume"
            )
        good.update(answers.good)

    def _exchange(
        self,
        method: str,
        step: int,
        body: bytes,
        parse: Callable[[bytes], T],
        sites: list[str],
        needed: int,
        addition: Callable[[str], bytes],
    ) -> Answers[T]:
        return Exchange(
            self._grid,
            self.timing,
            method,
            {site: body + addition(site) for site in sites},
            self.enrolment.node_of,
            parse,
            lambda site, reply: self.journal.keep(method, step, site, reply),
            self.progress.waiting,
        ).run(needed, self._reliable)

    def measure(
        self, queries: MarginalQueries, step: MeasureStep, least: int | None = None
    ) -> dict[str, list[Float64Array]]:
        """Each site's noisy counts, an array per query; a reply of another length is a failed site.

        `least` as in `ask`.
        """

        def counts(reply: bytes) -> list[Float64Array]:
            return queries.read(answered(pb.MeasureReply, reply).counts)

        return self.ask("measure", step.step, queries.request(self.plan, step), counts, least=least)

    def discriminate(self, request: pb.DiscriminateRequest) -> dict[str, pb.DiscriminateReply]:
        """Each site's discriminator after the steps of this message."""
        body = request.SerializeToString(deterministic=True)
        return self.ask("discriminate", request.step, body, partial(answered, pb.DiscriminateReply))

    def receipts(self) -> dict[str, pb.ReceiptReply]:
        """The signed receipts of the sites that answer; a silent site is noted, whatever the quorum.

        Without a quorum, those are waited for that answered the last message: in a secure sum up to
        c sites may be gone by then.
        """
        body = pb.ReceiptRequest(plan_digest=self.digest).SerializeToString()
        sites = [site for site in self.plan.sites if site in self.enrolment.nodes]
        timing = replace(self.timing, deadline=min(self.timing.deadline, LONGEST_RECEIPT))
        answers = Exchange(
            self._grid,
            timing,
            "receipt",
            dict.fromkeys(sites, body),
            self.enrolment.node_of,
            partial(answered, pb.ReceiptReply),
            tell=self.progress.waiting,
        ).run(min(timing.quorum or len(self._reliable), len(sites)), self._reliable)
        self.notes += [f"receipt: {site}: {why}" for site, why in answers.failed.items()]
        return answers.good
