"""A small site with a real vault, as tests of the client and of its privacy claims use it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from command import fedsynth
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.budget.policy import Policy
from fedsynth_client.budget.receipts import new_key
from fedsynth_client.records.records import Records
from fedsynth_client.vault.service import Vault
from fedsynth_common.networks import Discriminator, flatten
from fedsynth_common.privacy.randomness import Randomness
from fedsynth_common.protocol import PROTOCOL_VERSION
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import pack, pack_views
from fedsynth_common.protocol.plan import DiscriminatorPlan, MeasureStep, Plan, SecureSum
from fedsynth_common.schema import BooleanColumn, CategoricalColumn, Schema

SCHEMA = Schema(
    name="clinic",
    columns=(
        CategoricalColumn(name="ward", categories=("a", "b", "c"), other=False),
        BooleanColumn(name="smoker"),
        CategoricalColumn(name="outcome", categories=("w", "x", "y", "z"), other=False),
    ),
)
WIDTHS = (3, 2, 4)
PAIRS = ((0, 1), (0, 2), (1, 2))


def make_plan(**changes: Any) -> Plan:
    training = {
        "first_step": 3,
        "messages": 2,
        "steps_per_message": 2,
        "sampling_rate": 0.25,
        "noise_multiplier": 2.0,
        "expected_batch": 50,
        "hidden": (4,),
        "masked_columns": 2,
    }
    training |= changes.pop("training", {})
    fields = {
        "study": "study",
        "table": SCHEMA,
        "sites": ("north", "south"),
        "records_per_site": 200,
        "epsilon": 8.0,
        "delta": 1e-5,
        "measure": (
            MeasureStep(step=1, purpose="histograms", noise_multiplier=2.0),
            MeasureStep(step=2, purpose="marginals", noise_multiplier=2.0),
        ),
        "discriminator": DiscriminatorPlan(**training),
    }
    return Plan(**(fields | changes))


def make_secure_plan(key: Ed25519PrivateKey, sites: int = 3, **changes: Any) -> Plan:
    """A plan of a secure sum; `key` is that of the first site, "north"."""
    names = ("north", *(f"site-{i}" for i in range(1, sites)))
    keys = [key, *(new_key() for _ in names[1:])]
    public = [key.public_key().public_bytes_raw().hex() for key in keys]
    fields = {
        "format_version": 3,
        "trust": "secure-sum",
        "sites": names,
        "secure_sum": SecureSum(
            colluders=changes.pop("colluders", 1),
            receipt_keys=changes.pop("receipt_keys", dict(zip(names, public, strict=True))),
        ),
        "discriminator": None,
    }
    return make_plan(**(fields | changes))


def make_policy(**changes: Any) -> Policy:
    fields = {
        "dataset": "people",
        "max_epsilon": 10.0,
        "max_delta": 1e-5,
        "min_records": 1,
        "approved_plans": "any",
    }
    return Policy(**(fields | changes))


def make_records(rows: int = 200, seed: int = 0) -> Records:
    rng = np.random.default_rng(seed)
    columns = [rng.integers(0, width, rows) for width in WIDTHS]
    return Records(np.stack(columns, axis=1).astype(np.uint16))


@dataclass
class Site:
    """A vault and the requests of a well-behaved coordinator; every part can be replaced."""

    plan: Plan = field(default_factory=make_plan)
    policy: Policy = field(default_factory=make_policy)
    records: Any = field(default_factory=make_records)
    ledger: Ledger = field(default_factory=lambda: Ledger(":memory:", "people"))
    randomness: Randomness = field(default_factory=Randomness)
    schema: Schema = SCHEMA
    key: Ed25519PrivateKey = field(default_factory=new_key)

    def __post_init__(self) -> None:
        self.vault = Vault(
            self.records, self.schema, self.policy, self.ledger, self.randomness, self.key
        )

    @property
    def digest(self) -> bytes:
        return bytes.fromhex(self.plan.digest)

    @property
    def parameters(self) -> int:
        return flatten(Discriminator(sum(WIDTHS), self.plan.discriminator.hidden)).size

    def enroll(self) -> str:
        request = pb.EnrollRequest(protocol_version=PROTOCOL_VERSION, plan_json=self.plan.to_json())
        return self.vault.enroll(request).status

    def enrolled(self) -> "Site":
        assert self.enroll() == "OK"
        return self

    def measure_request(self, step: int = 2, variance: int = 12, **changes: Any) -> Any:
        """All pairs; three marginals of variance 12 have noise multiplier 2."""
        marginals = [
            pb.Marginal(axes=[pb.Axis(column=c, view=-1) for c in pair], noise_variance=variance)
            for pair in PAIRS
        ]
        fields = {"plan_digest": self.digest, "step": step, "marginals": marginals}
        return pb.MeasureRequest(**(fields | changes))

    def discriminate_request(self, step: int = 3, **changes: Any) -> Any:
        size = self.parameters
        rng = np.random.default_rng(5)
        fields = {
            "plan_digest": self.digest,
            "step": step,
            "views": pack_views([np.arange(width) for width in WIDTHS]),
            "weights": pack(rng.normal(0, 0.3, size), "f4"),
            "moments": pack(np.zeros(2 * size), "f4"),
        }
        return pb.DiscriminateRequest(**(fields | changes))

    def receipt_request(self) -> Any:
        return pb.ReceiptRequest(plan_digest=self.digest)


class Watched:
    """Records that note how many charges were on disk when they were first looked at."""

    units = 200

    def __init__(self, error: Exception | None = None) -> None:
        self.records, self.error = make_records(), error
        self.ledger, self.charges_when_touched = None, []

    def __getattr__(self, name):
        self.charges_when_touched.append(self.ledger.head()[0])
        if self.error:
            raise self.error
        return getattr(self.records, name)


def watched_site(error=None, **changes):
    records = Watched(error)
    site = Site(records=records, **changes)
    records.ledger = site.ledger
    return site


def run(site, method, **changes):
    return getattr(site.vault, method)(getattr(site, f"{method}_request")(**changes))


def new_site(folder: Path, rows: list[str]) -> Path:
    """A folder as `site init` leaves it, with a table, a schema and a plan that fits."""
    (folder / "t.csv").write_text("\n".join(["ward,smoker,outcome", *rows]))
    SCHEMA.save(folder / "schema.json")
    (folder / "plan.json").write_bytes(make_plan().to_json())
    options = [f"--data={folder}/t.csv", f"--schema={folder}/schema.json", "--dataset=people"]
    made = fedsynth("site", "init", folder / "s", *options, "--site=north", "--max-epsilon=10")
    assert made.returncode == 0, made.stderr
    return folder
