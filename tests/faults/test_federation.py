"""kill -9, partitions and canaries in a federation of real processes: see docs/FAULTS.md.

SuperLink with TLS, node keys, process isolation and SQLite behind nginx; three sites, each with vault
and courier as users of their own. All tests share one federation, in the order of this file.
"""

import contextlib
import json
import os
import signal
import socket
import ssl
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from canaries import found_in
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from faulty_federation import (
    PATIENCE,
    FaultyFederation,
    all_bytes,
    descendants,
    kill_courier_process,
    small_plan,
    supernode_of,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]
PHASES = ("enrol sites", "measure histograms", "measure marginals", "adversarial rounds", "the end")
VICTIMS = ("vault", "courier", "supernode")


@pytest.fixture(scope="module")
def federation():
    with FaultyFederation() as made:
        made.open()
        made.plans = {name: small_plan(name) for name in ("killed", "restarted", "cut")}
        made.studies = {name: made.agree(plan, **PATIENCE) for name, plan in made.plans.items()}
        made.start()
        yield made


def asked(study, step):
    """Whether the request of a step has been journaled: it is about to be sent."""
    return any((study / "journal").glob(f"{step:04d}-*.request"))


def closed(study, step):
    """Whether all replies of a step are in."""
    return any((study / "journal").glob(f"{step:04d}-*.closed"))


def over(federation, study):
    return federation.state(study).get("outcome") != "running"


def assert_nothing_lost_or_paid_twice(federation, name):
    study, plan = federation.studies[name], federation.plans[name]
    assert federation.state(study)["outcome"] == "finished", federation.state(study)
    steps = [step.step for step in plan.measure] + list(plan.discriminator.steps)
    for site, charged in federation.charged(name).items():
        assert sorted(charged) == steps, site
    statement = json.loads((study / "generator/privacy_statement.json").read_text())
    for said in statement["sites"]:
        assert said["status"] == "complete", said["site"]
        assert said["epsilon"] <= plan.epsilon
        assert json.loads(bytes.fromhex(said["receipt"]))["study"] == name


def strike(site, victim):
    """kill -9 of one victim at a site; False if it is not there at the moment."""
    if victim == "vault":
        site.vault.kill()
        site.vault.start(wait=0)  # as its supervisor would; by this thread: it must not outlive it
        return True
    if victim == "courier":
        return kill_courier_process(site)
    pid = supernode_of(site)
    if pid:
        os.kill(pid, signal.SIGKILL)  # `fedsynth site connect` starts it again
    return bool(pid)


def test_vault_courier_and_supernode_are_killed_in_every_phase(federation):
    """Fifteen kills in one study: each victim in each phase, each phase at every site."""
    study, plan = federation.studies["killed"], federation.plans["killed"]
    first = plan.discriminator.first_step
    begins = {
        "enrol sites": lambda: (study / "journal/settings").exists(),  # written before enrolment
        "measure histograms": lambda: asked(study, 1),
        "measure marginals": lambda: asked(study, 2),
        "adversarial rounds": lambda: asked(study, first),
        "the end": lambda: asked(study, plan.discriminator.steps[-1]),
    }
    federation.detached(study)
    counted = dict.fromkeys(VICTIMS, 0)
    for number, phase in enumerate(PHASES):
        federation.wait_for(begins[phase], 400, phase)
        left = {site: VICTIMS[(k + number) % 3] for k, site in enumerate(federation.sites)}
        until = time.monotonic() + 60
        while left and time.monotonic() < until and not over(federation, study):
            for site, victim in list(left.items()):
                if strike(federation.sites[site], victim):
                    counted[victim] += 1
                    del left[site]
    state = federation.ends(study, 600)
    print("kills:", counted, "notes:", state["notes"])
    assert counted["vault"] == counted["supernode"] == 5
    assert counted["courier"] >= 3  # it lives for seconds: a phase may be over first
    assert_nothing_lost_or_paid_twice(federation, "killed")


def test_the_serverapp_and_the_superlink_are_killed(federation):
    """A ServerApp that dies ends its run, and `study resume` goes on; a SuperLink is waited for."""
    study, plan = federation.studies["restarted"], federation.plans["restarted"]
    coordinator = federation.coordinator
    federation.detached(study)
    federation.wait_for(lambda: asked(study, 1), 300, "the first message")
    apps = [p for name, p in descendants(coordinator.superexec.pid) if "flwr-serverapp" in name]
    assert apps
    for pid in apps:
        os.kill(pid, signal.SIGKILL)
    federation.wait_for(lambda: resumed(federation, study), 200, "Flower to give the run up")
    assert not (study / "generator").exists()
    federation.wait_for(lambda: asked(study, 2), 400, "the second message")
    coordinator.superlink.kill()
    time.sleep(3)
    coordinator.superlink.start()
    federation.wait_for(lambda: closed(study, plan.discriminator.first_step), 400, "a round")
    coordinator.superexec.kill()  # with its ServerApp: as the whole computer would go down
    coordinator.superlink.kill()
    coordinator.superlink.start()
    coordinator.superexec.start()
    federation.wait_for(lambda: resumed(federation, study), 200, "Flower to give the run up")
    state = federation.ends(study, 500)
    print("notes:", state["notes"])
    assert_nothing_lost_or_paid_twice(federation, "restarted")


def resumed(federation, study):
    """Flower notices after a minute that a ServerApp is gone; until then `resume` is refused."""
    said = federation.coordinator.fedsynth("study", "resume", study, "--detach", check=False)
    return ": started" in said  # not only in a path


def test_a_site_is_cut_off_and_comes_back(federation):
    """Ten seconds of broken connections, then a silence longer than Flower's patience with a node."""
    study = federation.studies["cut"]
    federation.detached(study)
    federation.wait_for(lambda: asked(study, 1), 300, "the first message")
    federation.wires["west"].reset()
    time.sleep(10)
    federation.wires["west"].mend()
    federation.wait_for(lambda: asked(study, 3), 400, "the third message")
    federation.wires["north"].silence()
    time.sleep(75)
    federation.wires["north"].mend()
    state = federation.ends(study, 600)
    print("notes:", state["notes"])
    assert_nothing_lost_or_paid_twice(federation, "cut")


def test_no_cell_has_left_any_site(federation):
    """After all that: every file of everybody, every log, the database, every byte on the wires."""
    tables = {site.data for site in federation.sites.values()}
    assert all(found_in(path.read_bytes()) for path in tables)
    searched, names = 0, set()
    for path, data in all_bytes(federation.folder, leave_out=tables):
        assert found_in(data) is None, path
        searched += len(data)
        names.add(path.name)
    assert {"state.db", "superlink.log", "vault.log", "courier.log", "ledger.db"} <= names
    assert searched > 100_000
    for name, tap in federation.taps.items():
        assert len(tap.seen) > 10_000, name  # the plaintext between courier and vault
        assert found_in(bytes(tap.seen)) is None, name
    for name, wire in federation.wires.items():
        assert len(wire.seen) > 10_000, name
        assert found_in(bytes(wire.seen)) is None, name
        assert b"fedsynth" not in wire.seen, name  # encrypted: in plaintext every message names it


def certificate_that_expired(folder, certificates):
    """A certificate for localhost by the sites' own authority, valid until yesterday; and its key."""
    now = datetime.now(UTC)
    issuer = x509.load_pem_x509_certificate((certificates / "ca.crt").read_bytes())
    signer = load_pem_private_key((certificates / "ca.key").read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=30))
        .not_valid_after(now - timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(signer, hashes.SHA256())
    )
    (folder / "expired.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "expired.key").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    return folder / "expired.pem", folder / "expired.key"


def expired_listener(folder, certificates):
    """A server with that certificate, and what it is sent once it is trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate_that_expired(folder, certificates))
    listener, seen = socket.create_server(("127.0.0.1", 0)), bytearray()

    def answer():
        with contextlib.suppress(OSError):
            while True:
                near = listener.accept()[0]
                with contextlib.suppress(OSError), context.wrap_socket(near, True) as trusted:
                    seen.extend(trusted.recv(1 << 16))

    threading.Thread(target=answer, daemon=True).start()
    return listener, seen


def test_an_expired_certificate_ends_the_connection_before_a_byte_is_sent(federation, tmp_path):
    """And nothing falls back to plaintext. Another authority, another key: test_borders.py."""
    listener, seen = expired_listener(tmp_path, federation.coordinator.certificates)
    site = federation.sites["south"]
    site.courier.stop()
    settings = site.courier_config.read_text()
    before = f"localhost:{federation.wires['south'].port}"
    elsewhere = settings.replace(before, f"localhost:{listener.getsockname()[1]}")
    assert elsewhere != settings
    since = len(site.courier.text)
    try:
        site.courier_config.write_text(elsewhere)
        site.courier.start(wait=0)
        federation.wait_for(
            lambda: "certificate has expired" in site.courier.text[since:], 120, "its complaint"
        )
        federation.wait_for(lambda: not site.courier.alive, 60, "its end")
        assert site.courier.code == 3
        assert "courier stopped: the certificate of" in site.courier.text[since:]
        assert "SuperNode ID" not in site.courier.text[since:]
        assert bytes(seen) == b""
    finally:
        site.courier.stop()
        listener.close()
        site.courier_config.write_text(settings)
