"""One federation of real processes for all tests here; see `deployed`."""

import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

HOSPITALS = ("dayton", "massachusetts", "seattle")
ROWS = 800


@pytest.fixture(scope="session")
def plan():
    """Few messages with few steps: a real study in little time."""
    from fedsynth_server.study.planning import Rounds, make_plan
    from fedsynth_simulations.demo_data import demo_schema

    return make_plan(
        study="rand",
        table=demo_schema(),
        sites=HOSPITALS,
        records_per_site=ROWS,
        epsilon=3.0,
        delta=1e-5,
        variant="both",
        rounds=Rounds(messages=2, steps_per_message=3),
    )


@pytest.fixture(scope="session")
def federation(plan):
    """Three hospitals of the RAND experiment, connected; the plan is approved and has not run."""
    from deployed import Federation

    from fedsynth_simulations.demo_data import demo_hospitals, demo_schema

    tables = demo_hospitals()
    chosen = {name: tables[name].head(ROWS) for name in HOSPITALS}
    with Federation(chosen, demo_schema()) as made:
        made.open()
        made.study = made.agree(plan)
        made.start()
        yield made


@pytest.fixture(scope="session")
def finished(federation):
    """The folder of the study once it has run."""
    federation.run(federation.study)
    return federation.study
