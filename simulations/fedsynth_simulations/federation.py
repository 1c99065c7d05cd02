"""Makes simulated sites: real vaults with real ledgers in this process.

Nothing here is a mock. Each site has its own records, policy, ledger, randomness and signing key,
and answers through the production courier. Only the socket between courier and vault is left out.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flwr.app import Context

from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.budget.policy import Policy
from fedsynth_client.budget.receipts import new_key
from fedsynth_client.courier import make_courier
from fedsynth_client.records.records import load_records
from fedsynth_client.vault.callers import LocalVault
from fedsynth_client.vault.service import Vault
from fedsynth_common.privacy.accounting import epsilon
from fedsynth_common.privacy.randomness import Randomness, SeededRandomness
from fedsynth_common.privacy.secure_noise import alone
from fedsynth_common.protocol.plan import Plan
from fedsynth_simulations.grid import InProcessGrid

SigningKeys = Mapping[str, Ed25519PrivateKey]
"""The key that each site signs with, by site."""


def make_vault(
    site: str,
    frame: pd.DataFrame,
    plan: Plan,
    ledger: Path | None,
    seed: int | None,
    key: Ed25519PrivateKey | None = None,
) -> Vault:
    """Make the vault of one site, with a policy that allows exactly this plan.

    Args:
        site: the name of the site in the plan.
        frame: the table of the site.
        plan: the plan of the study.
        ledger: the file of the ledger; None for a ledger in memory.
        seed: None for noise from the operating system's entropy. A number voids the guarantee, and
            the receipt says so.
        key: the key that signs receipts; by default a new one.
    """
    randomness = Randomness() if seed is None else SeededRandomness(seed)
    policy = _policy(site, plan)
    book = Ledger(ledger or ":memory:", policy.dataset, shared=ledger is not None)
    key_of_cohorts = book.cohort_key() if plan.table.cohorts else None
    records = load_records(frame, plan.table, randomness, cohort_key=key_of_cohorts)
    return Vault(records, plan.table, policy, book, randomness, key or new_key())


def _policy(site: str, plan: Plan) -> Policy:
    """A policy that allows exactly this plan and its cost."""
    training: dict[str, Any] = {}
    if d := plan.discriminator:
        training = {
            "min_noise_multiplier": d.noise_multiplier,
            "max_sampling_rate": d.sampling_rate,
            "max_steps": d.messages * d.steps_per_message,
        }
    most = plan.epsilon * (plan.served.per_person if plan.served else 1)  # of a person in cohorts
    return Policy(
        dataset=f"simulated-{site}"[:128],
        site=site,
        max_epsilon=most,
        max_epsilon_per_study=plan.epsilon,
        max_delta=plan.delta,
        max_epsilon_alone=max(most, epsilon(alone(plan.planned_events()), plan.delta)),
        max_epsilon_per_cohort=plan.epsilon if plan.cohort else None,
        min_records=1,
        approved_plans=(plan.digest,),
        **training,
    )


def new_keys(sites: Iterable[str]) -> SigningKeys:
    """A new receipt key for each site."""
    return {site: new_key() for site in sites}


def public_hex(key: Ed25519PrivateKey) -> str:
    """The public half as a plan names it."""
    return key.public_key().public_bytes_raw().hex()


def in_process(
    frames: Mapping[str, pd.DataFrame],
    plan: Plan,
    seed: int | None,
    keys: SigningKeys | None = None,
    ledger: Callable[[int], Path | None] = lambda place: None,
) -> InProcessGrid:
    """A grid whose nodes are the sites of the plan, in its order.

    Args:
        frames: table of each site, by name.
        plan: the plan of the study.
        seed: None for noise from the operating system's entropy.
        keys: that the sites sign with; new ones by default.
        ledger: the file of the ledger of the site at a place of the plan; by default in memory.
    """
    keys = keys or new_keys(plan.sites)
    vaults = {
        site: LocalVault(
            make_vault(
                site,
                frames[site],
                plan,
                ledger(i),
                None if seed is None else seed * 1000 + i,
                keys[site],
            )
        )
        for i, site in enumerate(plan.sites)
    }

    def connect(context: Context) -> LocalVault:
        return vaults[str(context.node_config["site"])]

    return InProcessGrid(make_courier(connect), [{"site": site} for site in plan.sites])
