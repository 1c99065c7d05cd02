import json
import math

import pytest
from typer.testing import CliRunner

from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.cli import app
from fedsynth_common.errors import InputError
from fedsynth_common.privacy.accounting import epsilon, epsilon_rdp, share_of_cap
from fedsynth_common.privacy.events import GaussianEvent

EVENT = GaussianEvent(noise_multiplier=4.0)


@pytest.fixture
def options(tmp_path):
    (tmp_path / "policy.toml").write_text(
        'dataset = "people"\nmax_epsilon = 10\nmax_delta = 1e-5\napproved_plans = "any"\n'
    )
    ledger = Ledger(tmp_path / "ledger.db", "people")
    ledger.charge("trial", 1, "h", [EVENT])
    ledger.charge("audit", 1, "h", [EVENT, EVENT])
    ledger.close()
    return ["ledger", f"--ledger={tmp_path}/ledger.db", f"--policy={tmp_path}/policy.toml"]


def test_the_ledger_is_shown_per_study_and_in_total(options):
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0
    assert "trial" in result.output
    rdp, pld = epsilon_rdp([EVENT] * 3, 1e-5), epsilon([EVENT] * 3, 1e-5)
    assert f"epsilon {math.ceil(rdp * 1e4) / 1e4:8.4f} of 10" in result.output
    assert f"if all plans had been fixed beforehand   epsilon {pld:8.4f}" in result.output
    assert f"{share_of_cap([EVENT] * 3, 10, 1e-5):.1%} of the cap" in result.output


def test_the_ledger_as_json(options):
    shown = json.loads(CliRunner().invoke(app, [*options, "--json"]).output)
    assert shown["studies"] == {
        "trial": epsilon([EVENT], 1e-5),
        "audit": epsilon([EVENT] * 2, 1e-5),
    }
    assert shown["total"] == pytest.approx(epsilon_rdp([EVENT] * 3, 1e-5), abs=1e-4)
    assert shown["total_pld"] == epsilon([EVENT] * 3, 1e-5) < shown["total"]
    assert shown["share_used"] == share_of_cap([EVENT] * 3, 10, 1e-5)
    assert (shown["cap"], shown["delta"]) == (10, 1e-5)


def test_looking_at_a_ledger_that_is_not_there_creates_none(options, tmp_path):
    (tmp_path / "ledger.db").rename(tmp_path / "moved.db")
    result = CliRunner().invoke(app, options)
    assert isinstance(result.exception, InputError)
    assert "it was moved or deleted; put the latest one back" in str(result.exception)
    assert not (tmp_path / "ledger.db").exists()


def test_before_the_first_run_it_says_that_there_is_none_yet(options, tmp_path):
    for path in tmp_path.glob("ledger.db*"):
        path.unlink()
    result = CliRunner().invoke(app, options)
    assert str(result.exception).endswith("none yet; the vault makes it when it first runs: "
                                          "fedsynth site serve")  # fmt: skip
    assert not list(tmp_path.glob("ledger.db*"))


def test_a_file_that_is_no_ledger_is_named(options, tmp_path):
    (tmp_path / "ledger.db").write_bytes(b"not a database" * 100)
    assert "ledger.db" in str(CliRunner().invoke(app, options).exception)


def test_the_ledger_is_shown_while_a_vault_owns_it(options, tmp_path):
    owner = Ledger(tmp_path / "ledger.db", "people")
    owner.charge("new", 1, "h", [EVENT])
    assert "new" in CliRunner().invoke(app, options).output
    owner.close()


def test_help_lists_the_commands():
    output = CliRunner().invoke(app, ["--help"]).output
    assert "serve" in output
    assert "ledger" in output
