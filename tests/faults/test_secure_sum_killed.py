"""kill -9 of a vault at every place of a secure sum, then a restart and the coordinator's worst request.

After each restart the coordinator first asks for something that contradicts what the vault may have
answered before the end: another roster, other parties for the same step, another set. The vault answers
one of the two and never both, and what it answered before it was killed it answers again, byte for byte.
"""

import signal

import pytest
from secure_process import PHASES, SMALL, SumWithProcess, put_back, snapshot
from tracing import WRITES, injected, needs_strace
from vault_process import make_site

from fedsynth_client.budget.charge_chain import read_charges
from fedsynth_client.budget.receipts import load_or_create_key, new_key

pytestmark = pytest.mark.slow


@pytest.fixture
def four(launcher, tmp_path):
    """Four sites, the first of which is a process; nothing is asked yet."""
    process = make_site(tmp_path / "north", launcher)
    policy = process.folder / "policy.toml"
    policy.write_text(policy.read_text() + "max_epsilon_alone = 90.0\n")
    signing = [load_or_create_key(process.folder / "site.key"), *(new_key() for _ in range(3))]
    process.start()
    yield SumWithProcess(process, signing)
    process.end()


PLACES = [  # phase, fault, which of its calls, then: is the vault bound, and what does it answer
    ("keys", "request read", 1, False, "OK"),
    ("keys", "before keeping", 1, False, "OK"),
    ("keys", "kept", 1, True, "OK"),
    ("shares", "request read", 1, False, "OK"),
    ("shares", "before keeping", 2, False, "OK"),  # the first is its keys'
    ("shares", "kept", 2, True, "OK"),  # the roster
    ("shares", "before keeping", 3, True, "OK"),
    ("shares", "kept", 3, True, "OK"),  # the shares
    ("measure", "request read", 1, False, "OK"),
    ("measure", "before commitment", 1, False, "OK"),
    ("measure", "charged, not witnessed", 2, True, "OK"),  # the commitment is not witnessed
    ("measure", "committed", 1, True, "OK"),
    ("measure", "before charge", 1, True, "OK"),
    ("measure", "charged, not witnessed", 3, True, "ERR_SPENT"),
    ("measure", "charged", 1, True, "ERR_SPENT"),
    ("measure", "computing counts", 1, True, "ERR_SPENT"),
    ("measure", "masked", 1, True, "ERR_SPENT"),
    ("measure", "stored", 1, True, "OK"),
    ("agree", "request read", 1, False, "OK"),
    ("agree", "before commitment", 1, False, "OK"),
    ("agree", "charged, not witnessed", 2, True, "OK"),
    ("agree", "committed", 1, True, "OK"),
    ("unmask", "request read", 1, False, "OK"),
    ("unmask", "before commitment", 1, False, "OK"),
    ("unmask", "committed", 1, True, "OK"),
]


@pytest.mark.parametrize(("phase", "fault", "nth", "bound", "answer"), PLACES)
def test_killed_at_a_place(four, phase, fault, nth, bound, answer):
    four.before(phase)
    process = four.process
    process.kill(signal.SIGTERM)
    process.start({"name": fault, "nth": nth})
    assert four.ask(phase, four.due(phase)) == "dead"
    assert process.wait() == -signal.SIGKILL
    process.start()
    worst = four.conflicting(phase)
    if bound and worst:
        assert four.ask(phase, worst) == "ERR_CONFLICT"
    assert four.ask(phase, four.due(phase)) == answer
    assert four.ask(phase, four.due(phase)) == answer
    if worst:
        assert four.ask(phase, worst) == "ERR_CONFLICT"
    charges = [charge.step for charge in read_charges(process.ledger)]
    assert charges == ([2] if phase in PHASES[2:] else [])
    if answer == "ERR_SPENT":  # its input is lost: it signs no set, and the others go on without it
        assert four.ask("agree", four.due("agree")) == "ERR_SPENT"
        assert four.ask("unmask", four.due("unmask")) == "ERR_SPENT"
    elif phase != "unmask":
        go_on(four)


def go_on(four):
    """The rest of the sum, in which the restarted vault takes part."""
    at = four.at()
    replies = four.measured((0, 1, 2, 3))
    assert {reply.status for reply in replies.values()} == {"OK"}
    signed = {p: four.agree(p, SMALL) for p in SMALL}
    assert {reply.status for reply in signed.values()} == {"OK"}
    signatures = {p: reply.signature for p, reply in signed.items()}
    shown = {p: four.unmask(p, SMALL, signatures, at) for p in SMALL}
    assert {reply.status for reply in shown.values()} == {"OK"}
    opened = four.opened({p: replies[p] for p in SMALL}, shown, at)
    assert (
        abs(opened[:6].sum() - 700) < 8 * (6 * 48) ** 0.5
    )  # 300 + 200 + 200 records, once a table


@needs_strace
@pytest.mark.parametrize("phase", PHASES)
def test_killed_at_every_system_call_that_writes(four, tmp_path, phase):
    """Whichever pages reach the file system: one of two requests is answered, and always alike."""
    four.before(phase)
    process, due, worst = four.process, four.due(phase), four.conflicting(phase)
    process.kill(signal.SIGTERM)
    snapshot(process, tmp_path / "before")
    outcomes = [
        outcome
        for call in WRITES
        for outcome in killed_at_each(call, four, tmp_path / "before", phase, due, worst)
    ]
    found = {outcome[2:] for outcome in outcomes}
    if worst:
        assert {("OK", "ERR_CONFLICT"), ("ERR_CONFLICT", "OK")} <= found
    if phase == "measure":
        assert ("ERR_CONFLICT", "ERR_SPENT") in found
    assert len(outcomes) > 5
    print(f"{phase}: killed at {len(outcomes)} calls: {outcomes}")


def killed_at_each(call, four, before, phase, due, worst):
    """The vault is killed at the first `call` of a request, at the second, until there is none."""
    process = four.process
    for number in range(1, 200):
        put_back(process, before)
        four.said.clear()
        process.start()
        with injected(process.pid, call, "signal=KILL", when=number):
            first = four.ask(phase, due)
            process.kill()
        process.start()
        other = four.ask(phase, worst) if worst else ""
        if other == "OK":  # nothing was promised before the end
            assert first == "dead"
            four.said.pop(phase)
        again = four.ask(phase, due)
        process.kill()
        if other == "OK":
            assert again == "ERR_CONFLICT"
        else:
            assert other in ("", "ERR_CONFLICT")
            assert again in (("OK", "ERR_SPENT") if phase == "measure" else ("OK",))
        if first == "OK":  # the end of the request was reached
            assert again == "OK"  # and `ask` compared the bytes
            return
        yield call, number, other, again
    raise AssertionError("never got to the end of a request")
