"""The courier stops for a certificate that is not trusted, and for nothing else."""

import ssl
import sys
import threading
import time

import httpx
import pytest
from certificates import certificate, shown
from command import fedsynth

from fedsynth_client.connection import flower_processes
from fedsynth_client.connection.approved_bundle import install
from fedsynth_client.connection.flower_processes import keep_running
from fedsynth_client.connection.untrusted_certificate import CertificateFault, certificate_fault
from fedsynth_server.superlink.app_bundle import bundle


@pytest.mark.parametrize("fault", ["expired", "another authority"])
def test_the_real_supernode_stops_at_once(tmp_path, handlers, courier_to, fault):
    authority = certificate(tmp_path / "server", ends=-1 if fault == "expired" else 30)
    with shown(authority) as port:
        if fault != "expired":
            authority = certificate(tmp_path / "other")
        stopper = threading.Timer(60, lambda: handlers[flower_processes.signal.SIGTERM]())
        stopper.start()
        try:
            why = keep_running(courier_to(port, authority))
        finally:
            stopper.cancel()
    assert why is (CertificateFault.EXPIRED if fault == "expired" else CertificateFault.AUTHORITY)


@pytest.mark.parametrize("coordinator", ["away", "breaks off"])
def test_a_coordinator_that_is_merely_away_is_tried_again(
    tmp_path, handlers, courier_to, coordinator
):
    authority = certificate(tmp_path / "server")
    ended = []
    with shown(None) as port:
        port = port if coordinator == "breaks off" else 1
        started = courier_to(port, authority)
        runner = threading.Thread(target=lambda: ended.append(keep_running(started)))
        runner.start()
        runner.join(5)
        assert runner.is_alive()
        handlers[flower_processes.signal.SIGTERM]()
        runner.join(30)
    assert ended == [None]


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        ({}, None),
        ({"ends": -1}, CertificateFault.EXPIRED),
        ({"begins": 1}, CertificateFault.NOT_YET_VALID),
        ({"host": "192.0.2.7"}, CertificateFault.HOST),
        (None, None),
    ],
    ids=["valid", "expired", "not yet valid", "another host", "broken off"],
)
def test_the_verdict_is_openssls(tmp_path, made, verdict):
    """The error is what Flower's HTTP client raises, and Flower exits from inside its handler."""
    authority = certificate(tmp_path, **(made or {}))
    error = None
    with shown(authority if made is not None else None) as port:
        try:
            try:
                httpx.get(
                    f"https://127.0.0.1:{port}",
                    verify=ssl.create_default_context(cafile=authority),
                    timeout=2,
                )
            except Exception:
                sys.exit(1)
        except SystemExit as ended:
            error = ended
    assert error is not None
    assert certificate_fault(error) is verdict


def test_an_error_that_is_its_own_cause_ends_the_search():
    one, two = ValueError(), ValueError()
    one.__cause__, two.__cause__ = two, one
    assert certificate_fault(one) is None
    assert certificate_fault(None) is None


@pytest.mark.parametrize("why", list(CertificateFault))
def test_the_command_ends_with_one_line_and_its_own_exit_code(tmp_path, monkeypatch, why):
    place = tmp_path / "s"
    fedsynth("site", "init", place, "--dataset=d", "--site=north", "--superlink=fed.example.org:1")
    install(bundle(), place / "courier/flower")
    monkeypatch.setattr(flower_processes, "unsafe", lambda config: [])
    monkeypatch.setattr(flower_processes, "keep_running", lambda started: why)
    before = time.monotonic()
    ended = fedsynth("site", "connect", "--courier", place / "courier/courier.toml")
    assert ended.returncode == 3
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error:")]
    assert line.startswith("error: courier stopped: the certificate of fed.example.org:1 ")
    assert time.monotonic() - before < 10
