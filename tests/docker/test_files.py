"""What the container files promise, read from the files; `docker/check.sh` looks at running ones."""

import re
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

DOCKER = Path(__file__).parents[2] / "docker"
PARTS = ("compose.site.yml", "compose.coordinator.yml")


def compose(name):
    return yaml.safe_load((DOCKER / name).read_text())


def targets(service):
    """Where a service mounts its volumes, with the mode."""
    return [re.sub(r"^(\$\{[^}]*\})?[^:]*:", "", volume) for volume in service["volumes"]]


def services():
    return [
        pytest.param(service, id=f"{name}:{title}")
        for name in PARTS
        for title, service in compose(name)["services"].items()
    ]


@pytest.mark.parametrize("service", services())
def test_every_service_is_locked(service):
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["ulimits"] == {"core": 0}
    assert service["pids_limit"] <= 256
    assert "mem_limit" in service
    assert not any("docker.sock" in volume for volume in service.get("volumes", []))
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & set(service)


def test_the_vault_has_no_network_and_reads_its_data_only():
    vault = compose("compose.site.yml")["services"]["vault"]
    assert vault["network_mode"] == "none"
    assert "networks" not in vault
    assert targets(vault) == ["/data:ro", "/site:ro", "/ledger", "/run/fedsynth"]


def test_the_courier_sees_the_socket_and_its_own_settings_alone():
    courier = compose("compose.site.yml")["services"]["courier"]
    assert targets(courier) == ["/courier:ro", "/run/fedsynth"]
    assert courier["networks"] == ["inside"]
    assert compose("compose.site.yml")["networks"]["inside"] == {"internal": True}
    assert "ports" not in courier


def test_the_proxys_port_is_the_only_one_published():
    published = {
        title: service["ports"]
        for name in (*PARTS, "compose.yml")
        for title, service in compose(name)["services"].items()
        if "ports" in service
    }
    assert set(published) == {"proxy"}
    assert compose("compose.coordinator.yml")["networks"]["control"] == {"internal": True}


def test_the_whole_federation_is_made_of_the_two_parts():
    whole = compose("compose.yml")
    for service in whole["services"].values():
        assert service["extends"]["file"] in PARTS
        assert set(service) <= {"extends", "volumes", "networks"}
    assert whole["networks"]["control"] == whole["networks"]["inside"] == {"internal": True}


def stage_of(target):
    text = (DOCKER / "Dockerfile").read_text()
    stage = re.split(rf"^FROM .* AS {target}$", text, flags=re.MULTILINE)[1]
    return re.split(r"^FROM ", stage, flags=re.MULTILINE)[0]


def test_no_image_runs_as_root():
    for target in ("vault", "courier", "coordinator", "proxy"):
        (user,) = re.findall(r"^USER (\d+):(\d+)$", stage_of(target), flags=re.MULTILINE)
        assert min(map(int, user)) >= 64000


@pytest.mark.parametrize(
    ("target", "ours"),
    [
        ("vault", ["common", "client"]),
        ("courier", ["common", "client"]),
        ("coordinator", ["common", "release", "server"]),
    ],
)
def test_an_image_holds_what_its_role_uses(target, ours):
    copied = re.findall(r"^COPY --from=ours /opt/ours/(\w+) /opt/ours/\1$", stage_of(target), re.M)
    assert copied == ours
    (line,) = re.findall(r"/opt/ours/%s\\n\" (.*?) >", stage_of(f"packages-{target}"))
    assert line.split() == ours


def test_the_proxy_passes_one_prefix_on():
    text = (DOCKER.parent / "server/fedsynth_server/coordinator/nginx.conf").read_text()
    assert re.findall(r"location (\S+) ", text) == ["/v1/fleet/", "/"]
    assert text.count("proxy_pass") - text.count("proxy_pass_") == 1
    assert "location / { return 403; }" in text


# --- certificates -----------------------------------------------------------------------------


def make_certificates(folder, *names):
    command = [str(DOCKER / "make-certs.sh"), str(folder), *names]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certs") / "made"
    made = make_certificates(folder, "fed.example.org", "10.1.2.3")
    assert made.returncode == 0, made.stderr
    return folder, made


def certificate(folder, name):
    return x509.load_pem_x509_certificate((folder / name).read_bytes())


def test_the_server_certificate_is_the_authoritys_and_names_the_server(certificates):
    folder, made = certificates
    authority, server = certificate(folder, "ca.crt"), certificate(folder, "server.pem")
    server.verify_directly_issued_by(authority)
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "fed.example.org"} <= set(names.get_values_for_type(x509.DNSName))
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.0.0.1", "10.1.2.3"}
    rights = {
        name: found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        for name, found in (("authority", authority), ("server", server))
    }
    assert rights == {"authority": True, "server": False}
    assert server.not_valid_after_utc - datetime.now(UTC) < timedelta(days=398)
    assert "Fingerprint" in made.stdout


def test_private_halves_are_closed_and_fit(certificates):
    folder, _ = certificates
    for key, public in (("ca.key", "ca.crt"), ("server.key", "server.pem")):
        assert stat.S_IMODE((folder / key).stat().st_mode) == 0o600
        private = load_pem_private_key((folder / key).read_bytes(), None)
        assert private.public_key() == certificate(folder, public).public_key()
    assert sorted(path.name for path in folder.iterdir()) == [
        "ca.crt",
        "ca.key",
        "server.key",
        "server.pem",
    ]


def test_nothing_is_replaced(certificates):
    folder, _ = certificates
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    again = make_certificates(folder)
    assert again.returncode == 2
    assert "exists and is not replaced" in again.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
