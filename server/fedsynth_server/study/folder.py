"""The folder of a study: the files that the coordinator writes, and those that a run writes.

| file | is | written by |
|---|---|---|
| `plan.json` | what the sites approve | `study init` |
| `study.toml` | where the SuperLink is, how long to wait, how to train | `study init`, then a person |
| `run.json` | number of the Flower run | `study run`, `study resume` |
| `state.json` | how far the study is | the ServerApp |
| `journal/` | the checkpoint | the ServerApp |
| `generator/` | the result | the ServerApp |
| `carried.safetensors` | of a study of a cohort: noisy counts for the next one | the ServerApp |
| `previous/` | of a refresh: what it takes from the study before | `study refresh` |
| `history.json` | training curves, how long it took, what went wrong: for the report | the ServerApp |
"""

import json
import re
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from fedsynth_common.durable import write_durably
from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_PLAN_BYTES, read_limited
from fedsynth_common.protocol.plan import Plan
from fedsynth_common.validated import read_settings
from fedsynth_server.messages.exchange import Timing
from fedsynth_server.study.folder_lock import FolderLock
from fedsynth_server.training.settings import TrainingSettings


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SuperLinkAddress(_Section):
    """Where the coordinator's commands reach the SuperLink's Control API.

    Attributes:
        address: HOST:PORT.
        root_certificate: PEM file of the authority that signed the SuperLink's certificate; without
            one the computer's own authorities are trusted.
        insecure: no TLS. Only for a loopback address.
    """

    address: str = Field(default="127.0.0.1:8000", pattern=r"^.+:\d+$")
    root_certificate: Path | None = None
    insecure: bool = False

    @model_validator(mode="after")
    def _plaintext_stays_on_this_computer(self) -> "SuperLinkAddress":
        if self.insecure and not _is_loopback(self.address.rpartition(":")[0]):
            raise ValueError(
                "insecure = true is for a SuperLink on this computer; remove it and use TLS"
            )
        if self.insecure and self.root_certificate:
            raise ValueError("insecure = true and root_certificate exclude each other")
        return self


class Patience(_Section):
    """How long a study waits for its sites, in seconds, and how many it needs (see `Timing`)."""

    quorum: int | None = Field(default=None, ge=1)
    deadline: float = Field(default=3600.0, gt=0)
    gather: float = Field(default=600.0, ge=0)
    retry: float = Field(default=5.0, ge=0)
    patience: float = Field(default=60.0, ge=0)

    def timing(self) -> Timing:
        """As the exchanges use it."""
        return Timing(poll=0.5, **self.model_dump())


class Papers(_Section):
    """What the privacy statement says about whom to ask and until when, in the coordinator's words."""

    contact: str = ""
    expires: str = ""


ReceiptKey = Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")]
"""As `fedsynth site key` prints it: an Ed25519 public key, 32 bytes in hexadecimal. Empty: not known."""


class StudyConfig(_Section):
    """`study.toml`.

    Attributes:
        receipt_keys: by site; a node that enrols under that name with another key is refused.
    """

    superlink: SuperLinkAddress = SuperLinkAddress()
    sites: Patience = Patience()
    receipt_keys: dict[str, ReceiptKey] = Field(default={})
    papers: Papers = Papers()
    training: TrainingSettings = TrainingSettings()

    @field_validator("receipt_keys")
    @classmethod
    def _named(cls, keys: dict[str, str]) -> dict[str, str]:
        return {site: key for site, key in keys.items() if key}


_CONFIG = """\
# How this study is run. Nothing in here can change what the sites approve: that is plan.json.

[superlink]
# The Control API of the Flower SuperLink, HOST:PORT, as seen from where you type the commands.
address = {address}
# The authority that signed the SuperLink's certificate (PEM), relative to this file:
{certificate}
# insecure = true        # no TLS; accepted for a loopback address only

[sites]
# The fewest sites that will do; without it all of the plan's sites must answer every message.
{quorum}
# deadline = 3600        # seconds that a site has for one message
# gather = 600           # seconds to wait at the start for sites that are not there yet
# retry = 5              # seconds before a site is asked again whose failure may pass by itself
# patience = 60          # seconds that the others wait for a site that failed the last message

[receipt_keys]
# Who each site is: the receipt key that `fedsynth site key` prints there, told by telephone or in
# writing. A node with another key is refused under that name; without an entry, whoever enrols first
# under it is the site.
{keys}

[papers]
# What the privacy statement says about whom to ask, and until when the generator may be used:
# contact = ""
# expires = ""

[training]
# How the generator is trained; costs no privacy. May not change between `run` and `resume`.
# seed = 0
# device = "cpu"         # "cuda" where torch sees such a device
"""


def config_text(
    address: str, certificate: Path | None, quorum: int | None, sites: Sequence[str] = ("dayton",)
) -> str:
    """A new `study.toml`, with a comment for every setting."""
    return _CONFIG.format(
        address=json.dumps(address),  # a TOML basic string has the escapes of JSON
        certificate=(
            f"root_certificate = {json.dumps(str(certificate), ensure_ascii=False)}"
            if certificate
            else '# root_certificate = "ca.crt"'
        ),
        quorum=f"quorum = {quorum}" if quorum else "# quorum = 2",
        keys="\n".join(f'# {_toml_key(site)} = ""' for site in sites),
    )


class StudyFolder:
    """The places in a study's folder."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.plan_file = self.path / "plan.json"
        self.config_file = self.path / "study.toml"
        self.run_file = self.path / "run.json"
        self.state_file = self.path / "state.json"
        self.journal = self.path / "journal"
        self.generator = self.path / "generator"
        self.history = self.path / "history.json"

    def lock(self) -> FolderLock:
        """Held by the ServerApp while it works."""
        return FolderLock(self.path, self.path / ".lock")

    def plan(self) -> Plan:
        """The plan.

        Raises:
            InputError: missing, or not a plan.
        """
        if not self.plan_file.is_file():
            raise InputError(f"{self.path}: no plan.json; make one with: fedsynth study init")
        return Plan.from_json(read_limited(self.plan_file, MAX_PLAN_BYTES))

    def config(self) -> StudyConfig:
        """`study.toml`; its root certificate becomes absolute.

        Raises:
            InputError: missing or unreadable, or naming every faulty field.
        """
        config = read_settings(
            self.config_file, StudyConfig, str(self.config_file), short_lines=True
        )
        if config.superlink.root_certificate is None:
            return config
        place = self.path / config.superlink.root_certificate.expanduser()
        superlink = config.superlink.model_copy(update={"root_certificate": place})
        return config.model_copy(update={"superlink": superlink})

    def receipt_keys(self) -> dict[str, bytes]:
        """The receipt keys that the plan of a secure sum or `study.toml` names, by site.

        Raises:
            InputError: `study.toml` names one for a site that the plan does not have, or another
                than the plan.
        """
        named, plan = self.config().receipt_keys, self.plan()
        sites = plan.sites
        if strange := sorted(set(named) - set(sites)):
            raise InputError(
                f"{self.config_file}: receipt_keys: {', '.join(strange)}: not a site of plan.json "
                f"({', '.join(sites)})"
            )
        planned = plan.secure_sum.receipt_keys if plan.secure_sum else {}
        if other := [site for site in named if planned.get(site, named[site]) != named[site]]:
            raise InputError(
                f"{self.config_file}: receipt_keys: {', '.join(other)}: another key than plan.json "
                "names, which the sites approved; take it out here"
            )
        return {site: bytes.fromhex(key) for site, key in {**named, **planned}.items()}

    def begun(self) -> bool:
        """Whether a run has asked the sites for anything: then there is something to resume."""
        return any(self.journal.glob("*.request"))

    def finished(self) -> bool:
        """Whether the generator is there."""
        return self.generator.is_dir()

    def run_id(self) -> int | None:
        """The Flower run that was started last."""
        try:
            return int(json.loads(self.run_file.read_text())["run"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def remember_run(self, run: int) -> None:
        """Note the Flower run that was started."""
        write_durably(self.run_file, json.dumps({"run": str(run)}).encode())


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
