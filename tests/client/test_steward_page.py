"""The steward's page: the facts of `status`, on this computer alone, for whoever has the token."""

import http.client
import json
import shutil
import stat
import subprocess
import threading

import pytest
from command import fedsynth
from small_site import SCHEMA, Site, run

from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.cli.status import facts_of
from fedsynth_client.steward_page import steward_view
from fedsynth_client.vault.socket_server import start_server
from fedsynth_common.errors import InputError
from fedsynth_common.local_page.server import LocalPage
from fedsynth_common.local_page.token import token_of


@pytest.fixture
def folder(tmp_path):
    """A site whose vault runs and has answered a step."""
    SCHEMA.save(tmp_path / "schema.json")
    (tmp_path / "t.csv").write_text("ward,smoker,outcome\n")
    made = fedsynth(
        *("site", "init", tmp_path / "s", "--data", tmp_path / "t.csv", "--site=north"),
        *("--schema", tmp_path / "schema.json", "--dataset=people <b>", "--superlink=localhost:1"),
        *("--max-epsilon", 10),
    )
    assert made.returncode == 0, made.stderr
    site = Site(ledger=Ledger(tmp_path / "s/ledger.db", "people <b>")).enrolled()
    run(site, "measure")
    server = start_server(site.vault, tmp_path / "s/vault.sock")
    yield tmp_path / "s"
    server.stop(0).wait()
    site.ledger.close()


@pytest.fixture
def page(folder):
    token = token_of(folder / "page.token")
    shown = LocalPage(steward_view("t", lambda: facts_of(folder / "site.toml")), token, 0)
    thread = threading.Thread(target=shown.serve, daemon=True)
    thread.start()
    yield shown.port, token
    shown.stop()
    thread.join(30)
    assert not thread.is_alive()


def get(port, path, **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode(), answer.headers


def test_the_page_says_what_status_says(page, folder):
    port, token = page
    code, text, headers = get(port, f"/?token={token}")
    assert code == 200
    facts = facts_of(folder / "site.toml")
    assert f"ε {facts['spent']:.4f} of 10 is spent" in text
    assert "The vault runs. The courier does not run and is not connected." in text
    assert "start it with fedsynth site connect" in text
    assert "people &lt;b&gt;" in text
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert json.loads(get(port, f"/status.json?token={token}")[1]) == json.loads(json.dumps(facts))


def test_a_monitor_reads_numbers_with_a_bearer_token(page, folder):
    port, token = page
    code, text, _ = get(port, "/metrics", Authorization=f"Bearer {token}")
    numbers = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert code == 200
    assert numbers["fedsynth_vault_up"] == "1"
    assert numbers["fedsynth_courier_connected"] == "0"
    assert numbers['fedsynth_study_steps{study="study"}'] == "1"
    spent = facts_of(folder / "site.toml")["spent"]
    assert float(numbers["fedsynth_epsilon_spent"]) == pytest.approx(spent, rel=1e-4)


@pytest.mark.parametrize("path", ["/", "/status.json", "/metrics", "/events", "/live.js", "/x"])
def test_without_the_token_nothing_is_told(page, path):
    port, token = page
    for wrong in ("", "?token=", f"?token={token}x", "?token=%C3%A4"):
        code, text, _ = get(port, path + wrong)
        assert (code, text) == (401, "the token is missing or wrong\n")


def test_a_web_page_elsewhere_cannot_reach_it_by_another_name(page):
    port, token = page
    assert get(port, f"/?token={token}", Host=f"evil.example:{port}")[0] == 403
    assert get(port, f"/?token={token}", Host=f"localhost:{port}")[0] == 200


def test_there_is_nothing_but_reading(page):
    port, token = page
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", f"/?token={token}")
    assert connection.getresponse().status == 405
    assert get(port, f"/other?token={token}")[0] == 404


def test_a_policy_that_cannot_be_read_is_said_on_the_page(page, folder):
    port, token = page
    (folder / "policy.toml").write_text("x")
    code, text, _ = get(port, f"/?token={token}")
    assert code == 503
    assert "policy" in text
    assert get(port, f"/metrics?token={token}")[0] == 503


def test_what_changes_is_told_to_a_page_that_is_open(page, folder):
    port, token = page
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", f"/events?token={token}")
    answer = connection.getresponse()
    assert answer.getheader("Content-Type").startswith("text/event-stream")

    def news():
        while not (line := answer.readline()).startswith(b"data: "):
            assert line  # the stream goes on
        return json.loads(line[6:])

    assert "The vault runs" in news()
    (folder / "policy.toml").write_text("x")
    assert "policy" in news()
    connection.close()


def test_the_token_is_the_owners_alone(tmp_path):
    made = token_of(tmp_path / "page.token")
    assert len(made) >= 32
    assert stat.S_IMODE((tmp_path / "page.token").stat().st_mode) == 0o600
    assert token_of(tmp_path / "page.token") == made
    (tmp_path / "page.token").chmod(0o644)
    with pytest.raises(InputError, match="others may read it"):
        token_of(tmp_path / "page.token")


def test_a_port_that_is_taken_is_one_line(page, folder):
    ended = fedsynth("site", "page", "--config", folder / "site.toml", "--port", page[0])
    assert (ended.returncode, "cannot listen there" in ended.stderr) == (2, True)


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
def test_it_is_shown_in_a_browser(page, tmp_path):
    port, token = page
    ended = subprocess.run(
        [
            *("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"),
            f"http://127.0.0.1:{port}/?token={token}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "<h2>Studies</h2>" in ended.stdout
    assert '<td class="n">1 of ' in ended.stdout
