"""The courier's start: its identity, what stops it, what its processes are given, that they stay."""

import json
import os
import stat
import sys
import threading
import time

import pytest
from certificates import certificate
from command import fedsynth
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_ssh_public_key,
)

from fedsynth_client.connection import flower_processes
from fedsynth_client.connection.approved_bundle import install
from fedsynth_client.connection.flower_processes import (
    Commands,
    commands,
    keep_running,
    private_folder,
    unsafe,
)
from fedsynth_client.connection.node_key import make_node_key, public_line, public_path
from fedsynth_client.settings.site_config import CourierConfig
from fedsynth_common.errors import InputError
from fedsynth_server.superlink.app_bundle import bundle


@pytest.fixture
def site(tmp_path):
    """A site whose courier may start, but for the user who tests."""
    place = tmp_path / "s"
    made = fedsynth(
        "site", "init", place, "--dataset=people", "--site=north", "--superlink=fed.example.org:443"
    )
    assert made.returncode == 0, made.stderr
    assert fedsynth("site", "key", "--config", place / "site.toml").returncode == 0
    certificate(tmp_path / "authority").rename(place / "courier/ca.crt")
    install(bundle(), place / "courier/flower")
    return place


@pytest.fixture
def config(site):
    return CourierConfig.load(site / "courier/courier.toml")


@pytest.fixture
def ordinary_user(monkeypatch):
    """Judge as for a user who is not root; root may write everywhere, whatever the modes say."""
    if os.geteuid() == 0:
        monkeypatch.setattr(os, "geteuid", lambda: 64002)
        monkeypatch.setattr(
            os, "access", lambda path, mode: bool(os.stat(path).st_mode & stat.S_IWUSR)
        )


# --- keys ---------------------------------------------------------------------------------------


def test_the_node_key_is_p384_closed_and_never_replaced(tmp_path):
    key = tmp_path / "node.key"
    assert make_node_key(key, "north")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    line = public_path(key).read_text()
    assert line == f"{public_line(key)} north\n"
    public = load_ssh_public_key(line.encode())
    assert isinstance(public, ec.EllipticCurvePublicKey)
    assert public.curve.name == "secp384r1"
    before = key.read_bytes()
    public_path(key).unlink()
    assert not make_node_key(key, "north")
    assert key.read_bytes() == before
    assert public_path(key).read_text() == line


def test_flower_accepts_the_node_key(tmp_path):
    from argparse import Namespace

    from flwr.supernode.cli.flower_supernode import _try_setup_client_authentication

    make_node_key(tmp_path / "node.key", "north")
    asked = Namespace(
        auth_supernode_private_key=str(tmp_path / "node.key"), auth_supernode_public_key=None
    )
    assert _try_setup_client_authentication(asked) is not None


@pytest.mark.parametrize("content", [b"", b"key", "ed25519"])
def test_what_is_no_node_key_is_named_and_kept(tmp_path, content):
    if content == "ed25519":
        private = ed25519.Ed25519PrivateKey.generate()
        content = private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    (tmp_path / "node.key").write_bytes(content)
    with pytest.raises(InputError, match="expected an ECDSA key"):
        make_node_key(tmp_path / "node.key", "north")
    assert (tmp_path / "node.key").read_bytes() == content


def test_the_command_tells_public_halves_alone(site):
    shown = fedsynth("site", "key", "--config", site / "site.toml")
    told = json.loads(fedsynth("site", "key", "--config", site / "site.toml", "--json").stdout)
    key = site / "courier/node.key"
    assert told["site"] == "north"
    assert told["node_key"] == public_line(key)
    assert f"north={told['receipt_key']}" in shown.stdout
    assert len(bytes.fromhex(told["receipt_key"])) == 32
    for output in (shown.stdout, json.dumps(told)):
        assert "PRIVATE" not in output
        assert (site / "site.key").read_bytes().hex() not in output


# --- what stops it ------------------------------------------------------------------------------


def test_a_courier_that_is_set_up_may_start(config, ordinary_user):
    assert unsafe(config) == []


def test_root_may_not_connect(config, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert any("must not run as root" in line for line in unsafe(config))


def test_a_bundle_that_the_courier_could_write_stops_it(config, ordinary_user):
    (config.home / "apps").chmod(0o755)
    assert any("may write there" in line for line in unsafe(config))


def test_code_in_the_home_stops_it(config, ordinary_user):
    (place,) = (config.home / "apps").iterdir()
    place.chmod(0o755)
    (place / "fedsynth_client").mkdir(mode=0o555)
    place.chmod(0o555)
    assert any("may hold no code" in line for line in unsafe(config))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"home": "nowhere"}, "no app bundle"),
        ({"root_certificates": "nowhere"}, "no such file"),
        ({"node_key": "nowhere"}, "make one with `fedsynth site key`"),
        ({"socket": "x" * 120}, "longer than 107 bytes"),
        ({"socket": 'a"b'}, "with a quote"),
    ],
)
def test_what_is_missing_is_named(config, ordinary_user, tmp_path, changes, reason):
    places = {name: tmp_path / value for name, value in changes.items()}
    found = unsafe(config.model_copy(update=places))
    assert len(found) == 1
    assert reason in found[0]


def test_a_key_that_others_read_stops_it(config, ordinary_user):
    config.node_key.chmod(0o644)
    assert any("others may use it" in line for line in unsafe(config))


def test_an_authority_that_everybody_may_replace_stops_it(config, ordinary_user):
    config.root_certificates.chmod(0o646)
    assert any("everybody may write" in line for line in unsafe(config))


def test_an_authority_that_is_no_certificate_stops_it(config, ordinary_user):
    config.root_certificates.write_text("certificate")
    assert any("no certificate in PEM" in line for line in unsafe(config))


def test_the_command_refuses_with_all_reasons(site):
    (site / "courier/ca.crt").unlink()
    (site / "courier/node.key").chmod(0o644)
    ended = fedsynth("site", "connect", "--config", site / "site.toml")
    assert ended.returncode == 1
    assert "ca.crt: no such file" in ended.stderr
    assert "others may use it" in ended.stderr


@pytest.mark.parametrize("address", ["", "host", "host:", "http://host:1", "host:1/path", "a b:1"])
def test_an_address_is_a_host_and_a_port(site, address):
    path = site / "courier/courier.toml"
    path.write_text(path.read_text().replace("fed.example.org:443", address))
    with pytest.raises(InputError, match="superlink"):
        CourierConfig.load(path)


def test_both_files_name_one_socket(site):
    path = site / "courier/courier.toml"
    path.write_text(path.read_text().replace("../vault.sock", "other.sock"))
    ended = fedsynth("site", "connect", "--config", site / "site.toml", "--show")
    assert ended.returncode == 2
    assert "socket" in ended.stderr


# --- what its processes are given ----------------------------------------------------------------


def test_tls_and_the_key_are_always_given(site):
    shown = fedsynth("site", "connect", "--courier", site / "courier/courier.toml", "--show")
    supernode, superexec = shown.stdout.splitlines()
    assert "--superlink=fed.example.org:443" in supernode
    assert f"--root-certificates={site}/courier/ca.crt" in supernode
    assert f"--auth-supernode-private-key={site}/courier/node.key" in supernode
    assert f'vault-socket="{site}/vault.sock"' in supernode
    assert "--insecure" not in supernode
    port = CourierConfig.load(site / "courier/courier.toml").runtime_port
    assert f"--runtime-api-address=127.0.0.1:{port} " in superexec
    for line in (supernode, superexec):
        assert "--superexec-auth-secret-file=" in line
        assert "dependency-installation" not in line


def test_plaintext_is_for_the_loopback_interface(site, config, tmp_path):
    refused = fedsynth(
        *("site", "connect", "--config", site / "site.toml", "--plaintext-loopback", "--show")
    )
    assert refused.returncode == 2
    assert "is not on this machine" in refused.stderr
    for host in ("127.0.0.1:9", "localhost:9", "[::1]:9"):
        near = config.model_copy(update={"superlink": host})
        assert "--insecure" in commands(near, tmp_path, tmp_path, plaintext=True).supernode
    for host in ("localhost.example.org:9", "127.0.0.1.example.org:9", "10.0.0.1:9"):
        with pytest.raises(InputError, match="use TLS"):
            commands(config.model_copy(update={"superlink": host}), tmp_path, tmp_path, True)


def test_the_surroundings_hold_nothing_of_the_caller(config, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/tmp/evil")
    monkeypatch.setenv("LD_PRELOAD", "/tmp/evil.so")
    monkeypatch.setenv("SECRET", "s")
    for name in ("HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://proxy:3128")
    with private_folder() as (path, secret):
        given = commands(config, path, secret, plaintext=False).environment
        assert os.listdir(path) == ["flwr-clientapp"]
        assert (path / "flwr-clientapp").exists()
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
        assert len(secret.read_bytes()) == 32
    assert not path.exists()
    assert given["PATH"] == str(path)
    assert given["FLWR_HOME"] == str(config.home)
    assert given["FLWR_TELEMETRY_ENABLED"] == "0"
    assert not [name for name in given if "proxy" in name.lower()]
    assert not {"PYTHONPATH", "LD_PRELOAD", "SECRET"} & set(given)


# --- they stay ------------------------------------------------------------------------------------


def test_whatever_ends_is_started_again_and_all_end_with_the_command(tmp_path, monkeypatch):
    """A process that dies at once comes back, later each time; SIGTERM ends both."""
    monkeypatch.setattr(flower_processes, "_FIRST_PAUSE", 0.1)
    handlers = {}
    monkeypatch.setattr(
        flower_processes.signal, "signal", lambda number, act: handlers.setdefault(number, act)
    )
    short = f"open({str(tmp_path / 'lives')!r}, 'a').write('x')"
    pid = str(tmp_path / "pid")
    long = f"import os, time; open({pid!r}, 'w').write(str(os.getpid())); time.sleep(99)"
    started = Commands(
        supernode=[sys.executable, "-c", short],
        superexec=[sys.executable, "-c", long],
        environment={},
    )
    runner = threading.Thread(target=keep_running, args=(started,))
    runner.start()
    until = time.monotonic() + 30
    lives = tmp_path / "lives"
    while time.monotonic() < until and not (lives.exists() and len(lives.read_text()) >= 3):
        time.sleep(0.1)
    handlers[flower_processes.signal.SIGTERM]()
    runner.join(20)
    assert not runner.is_alive()
    assert len(lives.read_text()) >= 3
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)
