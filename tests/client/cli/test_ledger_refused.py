"""`site serve` says which of the reasons it is that the ledger does not open, as `site status` does."""

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from command import fedsynth
from small_site import new_site

from fedsynth_client.budget.ledger import Ledger
from fedsynth_common.privacy.events import GaussianEvent

ROWS = ["a,true,w", "b,false,x", "c,true,y"] * 400
EVENT = GaussianEvent(noise_multiplier=4.0)
NOBODY = 65534


@pytest.fixture
def site(tmp_path):
    made = new_site(tmp_path, ROWS)
    charge(made)
    return made


def ledger_of(site):
    return site / "s/ledger.db"


def charge(site, step=1):
    with closing(Ledger(ledger_of(site), "people")) as ledger:
        ledger.charge("study", step, f"hash {step}", [EVENT])


def serve(site):
    ended = fedsynth("site", "serve", "--config", site / "s/site.toml")
    assert ended.returncode == 1
    return ended.stderr


def deleted(site):
    ledger_of(site).unlink()


def set_back(site):
    charge(site, 2)
    with closing(sqlite3.connect(ledger_of(site))) as database:
        database.execute("DELETE FROM charges WHERE seq = 2")
        database.commit()


def changed(site):
    with closing(sqlite3.connect(ledger_of(site))) as database:
        database.execute("UPDATE charges SET events_json = '[]'")
        database.commit()


def renamed(site):
    policy = site / "s/policy.toml"
    policy.write_text(policy.read_text().replace('dataset = "people"', 'dataset = "others"'))


def no_ledger(site):
    ledger_of(site).write_bytes(b"x" * 5000)


FAULTS = {
    "moved": (deleted, "missing although its witness exists"),
    "set back": (set_back, "older than its witness"),
    "changed": (changed, "damaged, changed by hand"),
    "renamed": (renamed, "of another data set"),
    "no ledger": (no_ledger, "not a ledger"),
}


@pytest.mark.parametrize(("damage", "reason"), FAULTS.values(), ids=FAULTS)
def test_the_reason_is_named_alone(site, damage, reason):
    damage(site)
    said = serve(site)
    assert "ERR_LEDGER" in said
    assert reason in said
    assert "in use" not in said
    assert "RUNBOOK.md" in said
    told = fedsynth("site", "status", "--config", site / "s/site.toml")
    assert reason in told.stderr


def test_a_second_vault_is_told_of_the_first(site):
    with closing(Ledger(ledger_of(site), "people")):
        assert "in use by another vault; stop one" in serve(site)


def test_a_link_to_a_ledger_in_use_is_told_too(site):
    other = site / "other.db"
    with closing(Ledger(ledger_of(site), "people")):
        os.link(ledger_of(site), other)
        shutil.copy(f"{ledger_of(site)}.witness", f"{other}.witness")
        config = site / "s/site.toml"
        config.write_text(config.read_text().replace("ledger.db", str(other)))
        assert "in use by another vault" in serve(site)


@pytest.fixture
def open_place():
    """A folder that every user may enter; those of pytest are closed."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
@pytest.mark.parametrize("closed", ["folder", "file"])
def test_a_ledger_of_another_user_is_told(open_place, closed):
    from fedsynth_client.cli.serve import open_ledger
    from fedsynth_client.settings.site_config import SiteConfig
    from fedsynth_common.errors import FedsynthError

    site = new_site(open_place, ROWS)
    charge(site)
    settings = SiteConfig.load(site / "s/site.toml")
    folder = ledger_of(site).parent
    if closed == "folder":
        folder.chmod(0o700)
    else:
        folder.chmod(0o755)
        for path in folder.glob("ledger.db*"):
            path.chmod(0o644)
    os.seteuid(NOBODY)
    try:
        with pytest.raises(FedsynthError, match="not readable by this user: chown it to"):
            open_ledger(settings, "people")
    finally:
        os.seteuid(0)
