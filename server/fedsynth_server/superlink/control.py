"""The SuperLink's Control API: start a run, ask how it is, stop it, let a courier in.

The command `flwr run` would do the same, but it builds its bundle anew, which needs the sites' package
installed here, and its output is for people. This uses the client behind it, of the pinned Flower
version, so that the very bytes of `bundle.py` are sent. The open-source SuperLink knows no accounts:
whoever reaches this API may start and stop runs, so only the coordinator's network should: no proxy.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from flwr.proto.control_pb2 import (
    ListNodesRequest,
    ListRunsRequest,
    RegisterNodeRequest,
    StartRunRequest,
    StopRunRequest,
    UnregisterNodeRequest,
)
from flwr.proto.fab_pb2 import Fab
from flwr.proto.transport_pb2 import Scalar
from flwr.supercore.error import ApiErrorCode, FlowerError
from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor

from fedsynth_common.errors import FedsynthError, InputError
from fedsynth_common.limits import printable
from fedsynth_server.study.folder import SuperLinkAddress
from fedsynth_server.superlink.no_proxy import DirectControlClient


class UnreachableError(FedsynthError):
    """The SuperLink does not answer; it may do so later."""


@dataclass(frozen=True)
class RunStatus:
    """A run as Flower sees it: "pending", "starting", "running" or "finished", how, and since when.

    `since` is a time in ISO format by the SuperLink's clock; empty if it is not known.
    """

    status: str
    outcome: str = ""
    details: str = ""
    since: str = ""

    @property
    def over(self) -> bool:
        """Whether the run has ended, in whatever way."""
        return self.status == "finished"

    def __str__(self) -> str:
        return f"{self.status}:{self.outcome}" if self.outcome else self.status


@dataclass(frozen=True, order=True)
class Courier:
    """A courier that may connect.

    Attributes:
        node: its number at the SuperLink.
        name: of the site, as it was registered.
        status: "online" or another word.
        key: its public key in PEM, as it was registered.
    """

    node: int
    name: str
    status: str
    key: bytes = b""


class SuperLink:
    """A connection to the Control API; use as a context manager.

    Raises:
        InputError: the root certificate cannot be read.
        UnreachableError: from every method, when nobody answers or the certificate is not trusted.
        FedsynthError: from every method, when the SuperLink refuses.
    """

    def __init__(self, where: SuperLinkAddress) -> None:
        self._where = where
        certificate = _certificate(where.root_certificate) if where.root_certificate else None
        try:
            self._client = DirectControlClient.from_server_address(
                server_address=where.address,
                insecure=where.insecure,
                root_certificates=certificate,
                interceptors=[RuntimeVersionHttpInterceptor(component_name="flwr CLI")],
            )
        except (OSError, ValueError):  # ssl.SSLError is an OSError
            raise InputError(f"{where.root_certificate}: not a certificate in PEM") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.close()

    def start(self, bundle: bytes, study: Path) -> int:
        """Start a run of the bundle for the study in a folder; returns its number."""
        digest = hashlib.sha256(bundle).hexdigest()
        request = StartRunRequest(
            fab=Fab(hash_str=digest, content=bundle),
            override_config={"study": Scalar(string=str(study))},
        )
        try:
            answer = self._client.StartRun(request)
        except httpx.HTTPError as error:
            raise self._refused(error) from None
        if not answer.HasField("run_id"):
            raise FedsynthError(f"SuperLink {self._where.address}: did not start the run")
        return int(answer.run_id)

    def status(self, run: int) -> RunStatus:
        """How a run is."""
        try:
            answer = self._client.ListRuns(ListRunsRequest(run_id=run))
        except httpx.HTTPError as error:
            raise self._refused(error) from None
        if run not in answer.run_dict:
            return RunStatus("finished", "unknown", "the SuperLink does not know this run")
        found = answer.run_dict[run]
        since = str(getattr(found, f"{found.status.status}_at", ""))
        return RunStatus(found.status.status, found.status.sub_status, found.status.details, since)

    def register(self, public_key: bytes, name: str) -> bool:
        """Let a courier's public key (PEM) in under a name; False if it was let in before."""
        request = RegisterNodeRequest(public_key=public_key, name=name)
        try:
            self._client.RegisterNode(request)
        except httpx.HTTPStatusError as error:
            known = FlowerError.from_json(error.response.text)
            if known is not None and known.code == ApiErrorCode.PUBLIC_KEY_ALREADY_IN_USE:
                return False
            raise self._refused(error) from None
        except httpx.HTTPError as error:
            raise self._refused(error) from None
        return True

    def couriers(self) -> list[Courier]:
        """The couriers that may connect, by name."""
        try:
            answer = self._client.ListNodes(ListNodesRequest())
        except httpx.HTTPError as error:
            raise self._refused(error) from None
        found = [
            Courier(n.node_id, printable(n.name, 128), n.status, n.public_key)
            for n in answer.nodes_info
        ]
        return sorted(one for one in found if one.status != "unregistered")

    def unregister(self, node: int) -> None:
        """Let the courier of this number in no more."""
        try:
            self._client.UnregisterNode(UnregisterNodeRequest(node_id=node))
        except httpx.HTTPError as error:
            raise self._refused(error) from None

    def stop(self, run: int) -> bool:
        """Stop a run; False if the SuperLink could not."""
        try:
            return bool(self._client.StopRun(StopRunRequest(run_id=run)).success)
        except httpx.HTTPError as error:
            raise self._refused(error) from None

    def _refused(self, error: httpx.HTTPError) -> FedsynthError:
        if isinstance(error, httpx.HTTPStatusError):
            return FedsynthError(
                f"SuperLink {self._where.address}: refused with HTTP {error.response.status_code}: "
                f"{error.response.text[:300]}"
            )
        return UnreachableError(
            f"SuperLink {self._where.address}: cannot be reached ({error}); check the address, the "
            "root certificate and that flower-superlink is running"
        )


def _certificate(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"root_certificate {path}: cannot be read ({error.strerror})") from None
