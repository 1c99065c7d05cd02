"""Each role installs the wheels into an empty environment, and gets what it needs and no more.

pip asks the package index for everything that is not ours. Minutes, and a few GB of disk.
"""

import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

ROOT = Path(__file__).parents[2]
READERS = {"fedsynth", "fedsynth-common", "fedsynth-release"}
ROLES = {
    "": (READERS, {"flwr", "ray", "opacus", "sqlalchemy", "grpcio", "statsmodels"}),
    "site": (READERS | {"fedsynth-client", "flwr", "opacus"}, {"ray", "psycopg", "statsmodels"}),
    "server": (READERS | {"fedsynth-server", "flwr"}, {"ray", "opacus", "psycopg"}),
    "simulate": (
        READERS | {"fedsynth-client", "fedsynth-server", "fedsynth-simulations", "ray"},
        {"psycopg", "statsmodels", "mkdocs", "pytest"},
    ),
}
"""Extra -> (what must come, what must not come)."""

COMMANDS = {
    "": {"schema", "sample", "verify", "report", "evaluate", "serve"},
    "site": {"site"},
    "server": {"study", "coordinator"},
    "simulate": {"simulate", "benchmark", "site", "study", "coordinator"},
}
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(built, environment):
    """The environment of an extra, installed on first use."""
    done = {}

    def install(extra):
        if extra not in done:
            done[extra] = environment(extra or "analyst")
            done[extra].install(built / "wheels", f"fedsynth[{extra}]" if extra else "fedsynth")
        return done[extra]

    return install


@pytest.mark.parametrize("extra", ROLES)
def test_a_role_gets_its_packages_and_no_others(installed, extra):
    packages = installed(extra).packages()
    needed, foreign = ROLES[extra]
    assert needed <= packages
    assert not foreign & packages


@pytest.mark.parametrize("extra", ROLES)
def test_a_role_has_its_commands_and_hears_how_to_get_the_others(installed, extra):
    from fedsynth_common.extras import EXTRA_OF_COMMAND, how_to_install

    here = installed(extra)
    present = COMMANDS[extra] | COMMANDS[""]
    for name, brought in EXTRA_OF_COMMAND.items():
        if name in present:
            assert "Usage" in here.run("fedsynth", name, "--help")
        elif name not in ("demo",):
            assert how_to_install(brought) in here.run("fedsynth", name, "--help", status=2)


def test_what_is_installed_fits_together(installed):
    for extra in ROLES:
        assert "No broken requirements" in installed(extra).run("python", "-m", "pip", "check")


def own_table(folder):
    """10,000 rows as somebody might bring them."""
    rng = np.random.default_rng(5)
    age = rng.integers(18, 95, 10_000)
    frame = pd.DataFrame(
        {
            "age": age,
            "sex": rng.choice(["F", "M"], age.size),
            "ward": rng.choice(["surgery", "medicine", "maternity"], age.size, p=[0.3, 0.6, 0.1]),
            "stay": rng.gamma(2, 3, age.size).round(),
            "died": np.where(rng.random(age.size) < age / 400, "yes", "no"),
        }
    )
    frame.to_csv(folder / "table.csv", index=False)


def test_from_the_install_to_a_report_on_an_own_table_in_three_minutes(built, environment):
    """Three commands: install, simulate, and whatever opens the report.

    The time is the processor's, since other programs may run on this computer too.
    """
    here = environment("own-table")
    own_table(here.folder)
    start = os.times()
    here.install(built / "wheels", "fedsynth[simulate]")
    here.run("fedsynth", "simulate", "table.csv", "--target", "died", "--out", "out")
    end = os.times()
    spent = end.children_user + end.children_system - start.children_user - start.children_system
    assert spent < 180
    assert (here.folder / "out/report.html").stat().st_size > 20_000


def readme_lines():
    """The README's lines of Python that draw from a finished generator."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    (lines,) = (block for block in blocks if "demo-out/generator" in block)
    return lines


def test_the_lines_of_the_readme_run_where_only_wheels_are(installed):
    """An analyst's environment draws from a generator that another one has made."""
    maker, reader = installed("simulate"), installed("")
    own_table(maker.folder)
    words = ("--target", "died", "--quick", "--out", "made")
    maker.run("fedsynth", "simulate", "table.csv", *words)
    (reader.folder / "demo-out").symlink_to(maker.folder / "made")
    code = f"{readme_lines()}\nprint(len(frame), *frame.columns)"
    assert "1000 age sex ward stay died" in reader.run("python", "-W", "ignore", "-c", code)
    assert "consistent" in reader.run("fedsynth", "verify", "demo-out/generator")


def test_fitting_without_the_simulations_says_what_to_install(installed):
    reader = installed("")
    own_table(reader.folder)
    code = "import fedsynth; fedsynth.fit('table.csv', target='died')"
    assert "pip install 'fedsynth[simulate]'" in reader.run("python", "-c", code, status=1)


def test_databases_come_with_their_extra(built, installed):
    site = installed("site")
    assert "psycopg" not in site.packages()
    site.install(built / "wheels", "fedsynth[sql]")
    assert {"sqlalchemy", "psycopg", "psycopg-binary"} <= site.packages()
