"""A study that takes a second: three sites, four columns, few steps; as tests of all parts use it."""

from functools import cache

import numpy as np
import pandas as pd
import torch

from fedsynth_common.protocol.plan import Plan
from fedsynth_common.schema import BooleanColumn, CategoricalColumn, IntegerColumn, Schema, domains
from fedsynth_release.decoding import Codebook
from fedsynth_release.generator import Generator
from fedsynth_release.generator_network import GeneratorNetwork, GeneratorShape
from fedsynth_release.statement import PrivacyStatement, SiteCost
from fedsynth_server.messages.exchange import Timing
from fedsynth_server.progress import StudyProgress
from fedsynth_server.study.planning import Rounds, make_plan
from fedsynth_server.study.result import StudyResult
from fedsynth_server.study.study import Study
from fedsynth_server.training.settings import TrainingSettings
from fedsynth_simulations.federation import in_process

SCHEMA = Schema(
    name="clinic",
    columns=(
        IntegerColumn(name="age", minimum=0, maximum=99),
        CategoricalColumn(name="ward", categories=("a", "b", "c")),
        BooleanColumn(name="smoker", nullable=True),
        CategoricalColumn(name="outcome", categories=("home", "died"), other=False),
    ),
    target="outcome",
)
SITES = ("north", "south", "west")
ROUNDS = Rounds(messages=2, steps_per_message=3)
SETTINGS = TrainingSettings().quick()
DELTA = 1e-5


def make_frame(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    """Wards b and c are older; the old die more often; smoking is sometimes not known."""
    rng = np.random.default_rng(seed)
    ward = rng.choice(["a", "b", "c"], rows, p=[0.5, 0.3, 0.2])
    age = np.clip(rng.normal(np.where(ward == "a", 35, 65), 12), 0, 99).astype(int)
    smoker = rng.choice(["true", "false", None], rows, p=[0.3, 0.6, 0.1])
    died = rng.random(rows) < np.where(age > 60, 0.6, 0.1)
    outcome = np.where(died, "died", "home")
    columns = {"age": age.astype(str), "ward": ward, "smoker": smoker, "outcome": outcome}
    return pd.DataFrame(columns, dtype="str")


def make_frames(rows: int = 400) -> dict[str, pd.DataFrame]:
    return {site: make_frame(rows, seed) for seed, site in enumerate(SITES)}


@cache
def make_small_plan(variant: str = "both", epsilon: float = 3.0, study: str = "study") -> Plan:
    return make_plan(
        study=study,
        table=SCHEMA,
        sites=SITES,
        records_per_site=500,
        epsilon=epsilon,
        delta=DELTA,
        variant=variant,
        rounds=ROUNDS,
    )


def start(grid, plan: Plan, **timing) -> Study:
    """A study over a grid, with a short patience."""
    chosen = Timing(**{"deadline": 30.0, "poll": 0.01, **timing})
    return Study(plan, SETTINGS, grid, StudyProgress(), chosen)


def run_seeded(plan: Plan, seed: int | None = 1, **timing) -> StudyResult:
    """The whole study in this process."""
    return start(in_process(make_frames(), plan, seed), plan, **timing).run()


def make_statement(**changes) -> PrivacyStatement:
    event = {"kind": "gaussian", "noise_multiplier": 2.0}
    fields = {
        "study": "study",
        "plan_digest": "0" * 64,
        "rows_per_person": None,
        "delta": DELTA,
        "sites": [SiteCost.from_events(site, [event], DELTA) for site in SITES],
        "caveats": [],
        "seeded": False,
    }
    return PrivacyStatement.of(**(fields | changes))


def make_generator(schema: Schema = SCHEMA, latents: int = 16, **changes) -> Generator:
    """An untrained generator over the fine codes of a schema."""
    widths = tuple(domain.width for domain in domains(schema))
    shape = GeneratorShape(widths=widths, latents=latents, latent_size=4, hidden=4)
    network = GeneratorNetwork(shape)
    frequencies = torch.cat([torch.full((width,), 1.0 / width) for width in widths])
    network.initialise(frequencies, torch.Generator().manual_seed(3))
    return Generator(network, Codebook.identity(schema), schema, make_statement(**changes))
