"""`fedsynth site score`: for the site's eyes, in a file of its own, and nothing reaches the ledger."""

import os
import stat

import numpy as np
import pytest
from command import fedsynth
from small_site import SCHEMA

from fedsynth_release.evaluation import Evaluation

CANARY = "ZZCANARY"


def rows(seed, n=120):
    rng = np.random.default_rng(seed)
    wards = rng.choice(list("abc"), n)
    smokers = np.where(rng.random(n) < np.where(wards == "a", 0.8, 0.2), "true", "false")
    return [
        "ward,smoker,outcome",
        *map(",".join, zip(wards, smokers, rng.choice(list("wxyz"), n), strict=True)),
    ]


@pytest.fixture
def site(tmp_path):
    (tmp_path / "t.csv").write_text("\n".join(rows(0)))
    (tmp_path / "made.csv").write_text("\n".join(rows(1)))
    (tmp_path / "others.csv").write_text("\n".join(rows(2)))
    SCHEMA.save(tmp_path / "schema.json")
    options = [f"--data={tmp_path}/t.csv", f"--schema={tmp_path}/schema.json", "--dataset=people"]
    made = fedsynth("site", "init", tmp_path / "s", *options, "--site=north", "--max-epsilon=10")
    assert made.returncode == 0, made.stderr
    return tmp_path


def score(site, *arguments):
    places = (site / "made.csv", "--config", site / "s" / "site.toml", "--quick")
    return fedsynth("site", "score", *places, *arguments)


def test_a_score_is_local_private_and_says_so(site):
    before = sorted(os.listdir(site / "s"))
    done = score(site, "--out", site / "score.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Do not send it to anybody outside" in done.stdout.replace("\n", " ")
    assert stat.S_IMODE((site / "score.json").stat().st_mode) == 0o600
    found = Evaluation.load(site / "score.json")
    assert "not differentially private" in found.notice
    assert any("where sites differ" in note for note in found.notes)
    assert found.attacks == ()
    assert found.sizes.train + found.sizes.holdout == 120
    assert sorted(os.listdir(site / "s")) == before  # no charge, no file of the vault


def test_people_who_were_not_in_the_study_add_attacks(site):
    done = score(site, "--control", site / "others.csv", "--json")
    assert done.returncode == 0
    assert "Do not send it" in done.stderr
    found = Evaluation.from_json(done.stdout)
    assert any("where sites differ" in note for note in found.notes)
    assert found.sizes.train == found.sizes.holdout == 120
    assert [attack.on("synthetic") is None for attack in found.attacks] == [False] * 5


def test_conclusions_are_told_from_all_records_of_the_site(site):
    pytest.importorskip("statsmodels", reason="the extra `analyses` is not installed")
    (site / "model.toml").write_text(
        "[[analyses]]\nname = 'smokers'\nkind = 'proportions'\noutcome = 'smoker'\nby = 'ward'"
    )
    done = score(site, "--analysis", site / "model.toml", "--out", site / "score.json")
    assert (done.returncode, done.stderr) == (0, "")
    (found,) = Evaluation.load(site / "score.json").analyses
    assert (found.rows_real, found.rows_synthetic) == (120, 120)
    assert [one.term for one in found.conclusions] == ["ward = a", "ward = b", "ward = c"]
    assert stat.S_IMODE((site / "score.json").stat().st_mode) == 0o600


def test_faults_quote_no_cell(site):
    (site / "t.csv").write_text("\n".join([*rows(0), f"{CANARY},a,b,c"]))
    done = score(site)
    assert done.returncode in (1, 2)
    assert CANARY not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_nothing_is_replaced_without_force(site):
    (site / "score.json").write_text("old")
    done = score(site, "--out", site / "score.json")
    assert done.returncode == 2
    assert "exists" in done.stderr
    assert (site / "score.json").read_text() == "old"
