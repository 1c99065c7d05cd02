"""Whether a site's two processes run, and which of its files are newer than the vault.

It asks the health services that vault and courier have anyway, and looks at the times of files. Nothing
is opened that could tell of a record.
"""

from dataclasses import dataclass
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from fedsynth_client.connection.coordinator_watch import COORDINATOR
from fedsynth_client.settings.site_config import CourierConfig, SiteConfig
from fedsynth_client.vault.callers import SERVICE
from fedsynth_common.certificate_expiry import expiry_notes
from fedsynth_common.errors import InputError

_DIRECT = (("grpc.enable_http_proxy", 0),)  # whatever the surroundings say
_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class RunningSite:
    """What is up at a site.

    Attributes:
        vault: whether the vault answers on its socket.
        courier: whether the courier runs; None if there is no configuration that says where.
        connected: whether the courier is connected to the coordinator.
        newer: a line for each file that was changed after the vault started, and what follows.
        faults: a line for what is not as it should be (a process, a certificate), and what to do.
    """

    vault: bool
    courier: bool | None
    connected: bool
    newer: tuple[str, ...]
    faults: tuple[str, ...]


def running_site(site: SiteConfig, config: Path) -> RunningSite:
    """Look at the processes of the site whose configuration is the file `config`."""
    vault = _serves(f"unix:{site.socket}", SERVICE)
    port = _health_port(site)
    courier = None if port is None else _serves(f"127.0.0.1:{port}", "")
    connected = bool(courier) and _serves(f"127.0.0.1:{port}", COORDINATOR)
    faults = []
    if not vault:
        faults.append(
            f"the vault does not run, or this user may not use {site.socket}: start it with "
            f"fedsynth site serve --config {config}"
        )
    if courier is False:
        faults.append(
            f"the courier does not run: start it with fedsynth site connect --config {config}"
        )
    if courier and not connected:
        faults.append("the courier is not connected to the coordinator: its log says why")
    faults += authority_notes(site)
    return RunningSite(
        vault=vault,
        courier=courier,
        connected=connected,
        newer=tuple(_newer(site)) if vault else (),
        faults=tuple(faults),
    )


def authority_notes(site: SiteConfig) -> tuple[str, ...]:
    """A line if the coordinator's authority, which the courier trusts, ends soon or has ended."""
    remedy = (
        "ask the coordinator for its notice of the next authority, then: fedsynth site rotate authority "
        "NOTICE"
    )
    try:
        courier = CourierConfig.load(site.courier) if site.courier else None
    except InputError:
        return ()
    return expiry_notes(courier.root_certificates, remedy) if courier else ()


def _health_port(site: SiteConfig) -> int | None:
    """The courier's health port; None if its configuration is not named, or closed to this user."""
    try:
        return CourierConfig.load(site.courier).health_port if site.courier else None
    except InputError:
        return None


def _serves(target: str, service: str) -> bool:
    with grpc.insecure_channel(target, options=_DIRECT) as channel:
        try:
            reply = health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=_SECONDS
            )
        except grpc.RpcError:
            return False
    return bool(reply.status == health_pb2.HealthCheckResponse.SERVING)


def _newer(site: SiteConfig) -> list[str]:
    started = _changed(site.socket)  # the vault makes its socket when it starts
    again = "start the vault again to use it"
    follows = {
        "policy": "the vault has read it again, or does so before its next answer",
        "table": again,
        "schema": again,
    }
    places = {"policy": site.policy, "table": site.data, "schema": site.table_schema}
    return [
        f"{name} {place} is newer than the vault: {follows[name]}"
        for name, place in places.items()
        if started and _changed(place) > started
    ]


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
