"""Four sites of a secure sum, of which the first is the vault process of production.

`SumWithProcess` is the honest coordinator of `secure_sites` and can send, for each phase, the request
that is due and another one that must not be answered beside it. Every answer of the process is noted:
two different ones under one name would be two openings of one noise.
"""

import shutil

import grpc
from secure_sites import Sites
from small_site import Site
from vault_process import VaultSite

from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.secure_sum.agreement import sign_set
from fedsynth_common.secure_sum.terms import pack_parties

PHASES = ("keys", "shares", "measure", "agree", "unmask")
SMALL, OTHER = (0, 1, 2), (0, 1, 3)
"""Two sets of three, each enough for a sum of four sites with c = 1."""


class ProcessVault:
    """The process of a site under the methods that tests call a vault by."""

    def __init__(self, site: VaultSite) -> None:
        self.site = site

    def call(self, method, request):
        return self.site.vault.call(method, request)

    def enroll(self, request):
        return pb.EnrollReply.FromString(self.call("enroll", request.SerializeToString()))


class SumWithProcess(Sites):
    """Party 0 is `process`, whose receipt key is `signing[0]`; the others are vaults in this process."""

    def __init__(self, process: VaultSite, signing: list) -> None:
        self.process, self.said = process, {}
        super().__init__(4, 1, signing=signing)
        process.plan = self.plan

    def start(self, party):
        if party:
            super().start(party)
            return
        site = Site(plan=self.plan, key=self.signing[0])
        site.vault = ProcessVault(self.process)
        assert site.enroll() == "OK"
        self.sites[0] = site

    # requests to the process

    def due(self, phase):
        """What an honest coordinator asks for in a phase."""
        match phase:
            case "keys":
                return pb.KeysRequest(plan_digest=self.digest)
            case "shares":
                return self.shares_request()
            case "measure":
                return self.measure_request()
            case "agree":
                return self._agree_request(SMALL)
            case _:
                return self._unmask_request(SMALL)

    def conflicting(self, phase):
        """The same with another roster, other parties, another set: must not be answered as well."""
        match phase:
            case "shares":
                return self.shares_request(SMALL)
            case "measure":
                return self.measure_request(SMALL)
            case "agree":
                return self._agree_request(OTHER)
            case "unmask":
                return self._unmask_request(OTHER)
        return None

    def _agree_request(self, inside):
        return pb.AgreeRequest(
            plan_digest=self.digest, step=self.at().step, parties=pack_parties(inside)
        )

    def _unmask_request(self, inside):
        """With signatures of all in the set, which takes more colluders than the plan allows."""
        at = self.at()
        signed = {p: sign_set(at, inside, self.signing[p]) for p in inside}
        return self.unmask_request(0, inside, signed, at)

    def before(self, phase):
        """Everything that comes before a phase, at all sites."""
        if phase != "keys":
            assert self.shown
        if phase in PHASES[2:]:
            assert self.sealed
        if phase in PHASES[3:]:
            replies = self.measured((0, 1, 2, 3))
            assert {reply.status for reply in replies.values()} == {"OK"}

    def ask(self, phase, request):
        """The status of the process's answer, or "dead"; an answer is noted and never changes."""
        try:
            data = self.process.vault.call(phase, request.SerializeToString(deterministic=True))
        except grpc.RpcError:
            return "dead"
        reply = REPLIES[phase].FromString(data)
        if reply.status == "OK":
            assert self.said.setdefault(phase, data) == data, f"two answers to {phase}"
        return reply.status


REPLIES = {
    "keys": pb.KeysReply,
    "shares": pb.SharesReply,
    "measure": pb.MeasureReply,
    "agree": pb.AgreeReply,
    "unmask": pb.UnmaskReply,
}


def snapshot(site, to):
    """Copy the files of a site's ledger while its vault is down; or put such a copy back."""
    to.mkdir(exist_ok=True)
    for file in site.folder.glob("ledger.db*"):
        shutil.copy(file, to / file.name)


def put_back(site, copy):
    """The ledger as it was at a snapshot: a site to which nothing since then has happened."""
    for file in site.folder.glob("ledger.db*"):
        file.unlink()
    for file in copy.iterdir():
        shutil.copy(file, site.folder / file.name)
