"""New certificates of a coordinator: a site never has to choose between two authorities."""

import ssl
import stat

import pytest
from command import fedsynth

from fedsynth_common.certificate_expiry import certificates_in
from fedsynth_common.errors import InputError
from fedsynth_server.coordinator.folder import CoordinatorFolder, CoordinatorSettings
from fedsynth_server.coordinator.rotation import (
    begin_authority,
    finish_authority,
    rotate_server,
)


@pytest.fixture
def hub(tmp_path):
    settings = CoordinatorSettings(host="fed.example.org", superlink_port=1)
    return CoordinatorFolder.make(tmp_path / "hub", settings)


def trusts(hub, authorities, host="fed.example.org"):
    """Whether a client that trusts this PEM text completes a TLS handshake with the server's files."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(hub.certificates / "server.pem", hub.certificates / "server.key")
    client = ssl.create_default_context(cadata=authorities)
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # the default of Python 3.13
    pipes = [ssl.MemoryBIO() for _ in range(2)]
    ends = [
        client.wrap_bio(pipes[0], pipes[1], server_hostname=host),
        server.wrap_bio(pipes[1], pipes[0], server_side=True),
    ]
    open_ = set(ends)
    for _ in range(10):
        for end in list(open_):
            try:
                end.do_handshake()
                open_.discard(end)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
    return not open_


def test_a_new_server_certificate_is_of_the_same_authority(hub):
    authority = hub.authorities()
    before = (hub.certificates / "server.pem").read_bytes()
    rotate_server(hub)
    assert (hub.certificates / "server.pem").read_bytes() != before
    assert stat.S_IMODE((hub.certificates / "server.key").stat().st_mode) == 0o600
    assert trusts(hub, authority)
    assert not trusts(hub, authority, "another.example.org")


def test_the_host_of_the_settings_is_in_the_new_certificate(hub):
    text = hub.settings_file.read_text()
    hub.settings_file.write_text(text.replace("fed.example.org", "new.example.org"))
    rotate_server(hub)
    assert trusts(hub, hub.authorities(), "new.example.org")


def test_the_authority_changes_in_two_stages(hub):
    old = hub.authorities()
    begin_authority(hub)
    both = hub.authorities()
    assert len(certificates_in(hub.ca)) == 1
    assert trusts(hub, old)
    assert trusts(hub, both)
    rotate_server(hub)  # between the stages: still the old authority's
    assert trusts(hub, old)
    finish_authority(hub)
    assert trusts(hub, both)
    assert trusts(hub, hub.authorities())
    assert not trusts(hub, old)
    assert (old in both, hub.authorities() in both) == (True, True)
    assert not hub.next_ca.exists()
    rotate_server(hub)  # next year, by the new authority
    assert trusts(hub, hub.authorities())


def test_each_stage_says_what_is_missing(hub, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="no next authority was made; begin with"):
        finish_authority(hub)
    elsewhere = tmp_path / "ca.key"
    (hub.authority / "ca.key").rename(elsewhere)
    ended = fedsynth("coordinator", "rotate", "server", hub.path)
    assert (ended.returncode, "name it with --authority-key" in ended.stderr) == (2, True)
    rotate_server(hub, elsewhere)
    begin_authority(hub)
    with pytest.raises(InputError, match="made before"):
        begin_authority(hub)
    with pytest.raises(InputError, match="does not fit its certificate"):
        finish_authority(hub, elsewhere)
    monkeypatch.setattr("fedsynth_server.coordinator.rotation._listens", lambda port: True)
    with pytest.raises(InputError, match="the coordinator runs"):
        finish_authority(hub)
    assert trusts(hub, hub.ca.read_text())
