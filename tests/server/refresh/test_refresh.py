"""`study refresh`: from a finished study's folder to the next, over real vaults; and its chain."""

import json
import shutil

import pytest
from command import fedsynth
from growing_table import SCHEMA, growing

from fedsynth_common.errors import InputError
from fedsynth_common.schema import IdColumn, Schema
from fedsynth_release.drift import Drift
from fedsynth_release.generator import Generator
from fedsynth_release.lineage import Lineage, sites_over_cohorts
from fedsynth_release.verification.verify import verify
from fedsynth_server.aggregation.carried import Carried
from fedsynth_server.app import run_study
from fedsynth_server.study.folder import StudyFolder
from fedsynth_simulations.federation import in_process, new_keys

QUICK = """
[training]
fit_steps = 60
latents = 256
"""
FRAMES = growing(3, rows=1500)
SITES = ["--site", "north", "--site", "south"]


def init(folder, schema, *options):
    size = ["--records-per-site", "1500", "--epsilon", "2", "--variant", "marginals"]
    return fedsynth("study", "init", folder, "--schema", schema, *SITES, *size, *options)


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Three studies of a chain that ran, the vaults' ledgers being kept from one to the next."""
    place = tmp_path_factory.mktemp("chain")
    SCHEMA.save(place / "schema.json")
    keys = new_keys(FRAMES)

    def run(folder):
        study = StudyFolder(folder)
        plan = study.plan()
        held = {s: f[f["arrived"] <= f"{plan.cohort[:4]}-12"] for s, f in FRAMES.items()}
        grid = in_process(held, plan, None, keys, lambda i: place / f"site-{i}.db")
        run_study(study, grid)
        return study

    first = place / "covid-2025Q1"
    made = init(first, place / "schema.json", "--cohort", "2025Q1")
    assert made.returncode == 0, made.stderr
    (first / "study.toml").write_text(QUICK)
    studies = [run(first)]
    for previous, name in ((first, "covid-2025Q2"), (place / "covid-2025Q2", "covid-2025Q3")):
        done = fedsynth("study", "refresh", previous, "--half-life", "4")
        assert done.returncode == 0, done.stderr
        assert name in done.stdout
        studies.append(run(place / name))
    return studies


def test_a_refresh_plans_the_cohort_that_follows(chain):
    assert [study.plan().cohort for study in chain] == ["2025Q1", "2025Q2", "2025Q3"]
    assert len({study.plan().digest for study in chain}) == 3
    assert len({study.plan().table.to_json() for study in chain}) == 1


def test_counts_are_kept_for_the_coordinator_alone(chain):
    left = Carried.load(chain[-1].path / "carried.safetensors")
    assert left.cohorts == ("2025Q1", "2025Q2", "2025Q3")
    assert (chain[-1].path / "carried.safetensors").stat().st_mode & 0o777 == 0o600
    assert not (chain[-1].generator / "carried.safetensors").exists()
    assert left.records == pytest.approx(3000 * (1 + 0.5**0.25 + 0.5**0.5), rel=0.1)


def test_codes_stay_and_the_counts_say_more_than_one_cohort(chain):
    first, last = (Generator.load(chain[k].generator) for k in (0, 2))
    for old, new in zip(first.codebook.views, last.codebook.views, strict=True):
        assert (old == new).all()
    alone, together = (Carried.load(chain[k].path / "carried.safetensors") for k in (0, 2))
    spread = [c.pairs.mean_variance / c.records**2 for c in (alone, together)]
    assert spread[1] < 0.5 * spread[0]


def test_the_statement_lists_the_chain_and_verify_follows_it(chain):
    statement = Generator.load(chain[-1].generator).statement
    assert [cost.study for cost in statement.cohorts] == [
        "covid-2025Q1",
        "covid-2025Q2",
        "covid-2025Q3",
    ]
    assert statement.unit == "one record of the cohort 2025Q3"
    assert statement.epsilon_of_any_record <= 2
    assert verify(chain[-1].generator).findings == ()
    shown = fedsynth("verify", chain[-1].generator)
    assert "it builds on 2 earlier studies, whose papers are consistent too" in shown.stdout
    card = (chain[-1].generator / "MODEL_CARD.md").read_text()
    assert "Cohort 2025Q1 was charged" in card


def copied(chain, tmp_path):
    return shutil.copytree(chain[-1].generator, tmp_path / "generator")


def test_a_chain_that_was_shortened_is_found(chain, tmp_path):
    folder = copied(chain, tmp_path)
    lineage = Lineage.load(folder / "lineage.json")
    shorter = Lineage(half_life=lineage.half_life, ancestors=lineage.ancestors[1:])
    (folder / "lineage.json").write_text(shorter.to_json())
    found = [str(finding) for finding in verify(folder).findings]
    assert any("lineage.json: SHA-256" in text for text in found)
    assert any("does not follow the studies before it" in text for text in found)
    assert any("cohorts" in text for text in found)


def test_a_smaller_figure_of_an_earlier_study_is_found(chain, tmp_path):
    folder = copied(chain, tmp_path)
    lineage = Lineage.load(folder / "lineage.json")
    fields = json.loads(lineage.ancestors[0].statement)
    fields["sites"][0]["epsilon"] = fields["epsilon_if_people_are_at_one_site_only"] = 0.1
    forged = lineage.ancestors[0].model_copy(update={"statement": json.dumps(fields, indent=2)})
    changed = Lineage(half_life=lineage.half_life, ancestors=(forged, *lineage.ancestors[1:]))
    (folder / "lineage.json").write_text(changed.to_json())
    found = [str(finding) for finding in verify(folder).findings]
    assert any("ancestors[0].statement.sites[north].epsilon" in text for text in found)
    assert any("ancestors[1].statement" in text for text in found)


def test_a_chain_that_was_taken_away_is_found(chain, tmp_path):
    folder = copied(chain, tmp_path)
    (folder / "lineage.json").unlink()
    found = [str(finding) for finding in verify(folder).findings]
    assert any("artefacts[lineage.json]" in text for text in found)


def test_drift_is_shown_and_is_json_where_asked(chain):
    shown = fedsynth("study", "drift", chain[-1].path)
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.startswith("cohort 2025Q3: 0 columns and 0 pairs changed")
    fields = json.loads(fedsynth("study", "drift", chain[-1].path, "--json").stdout)
    assert Drift.model_validate(fields).earlier == ("2025Q1", "2025Q2")
    none = fedsynth("study", "drift", chain[0].path)
    assert none.returncode == 2
    assert "only a refresh" in none.stderr


def test_a_site_joins_and_another_leaves_between_refreshes(chain, tmp_path):
    """The counts of the site that left stay, those of the new one begin, and the report says when."""
    first = shutil.copytree(chain[0].path, tmp_path / "covid-2025Q1")
    done = fedsynth("study", "refresh", first, "--site", "south", "--site", "west")
    assert done.returncode == 0, done.stderr
    study = StudyFolder(tmp_path / "covid-2025Q2")
    plan = study.plan()
    assert plan.sites == ("south", "west")
    frames = {
        "south": FRAMES["south"],
        "west": growing(2, rows=1500, sites=("a", "b", "west"))["west"],
    }
    run_study(study, in_process(frames, plan, None, new_keys(frames)))
    old, new = (Carried.load(folder / "carried.safetensors") for folder in (first, study.path))
    assert set(new.pairs.by_site) == {"north", "south", "west"}
    noise = new.pairs.variance
    assert noise["south"] > noise["west"]  # noise of two cohorts, and of one
    kept = new.pairs.by_site["north"] / old.pairs.by_site["north"]
    assert kept == pytest.approx(kept[0])
    assert verify(study.generator).findings == ()
    lineage = Lineage.load(study.generator / "lineage.json")
    assert sites_over_cohorts(plan, lineage) == {
        "north": ("2025Q1", "2025Q1"),
        "south": ("2025Q1", "2025Q2"),
        "west": ("2025Q2", "2025Q2"),
    }
    page = tmp_path / "report.html"
    shown = fedsynth("report", study.generator, "--out", page)
    assert shown.returncode == 0, shown.stderr
    assert '<th scope="row">west</th><td>2025Q2</td><td>2025Q2</td>' in page.read_text()


def test_a_cohort_under_a_secure_sum_is_refused_in_words(tmp_path):
    SCHEMA.save(tmp_path / "schema.json")
    keys = [f"--receipt-key={site}={number:064x}" for number, site in enumerate("abc", 1)]
    sites = ["--site", "a", "--site", "b", "--site", "c", "--trust", "secure-sum", *keys]
    options = ["--schema", tmp_path / "schema.json", "--records-per-site", "1500", "--epsilon", "2"]
    done = fedsynth("study", "init", tmp_path / "s", *options, *sites, "--cohort", "2025Q1")
    assert done.returncode == 2
    assert "a study of a cohort takes --trust local" in done.stderr
    assert not (tmp_path / "s").exists()


def test_a_table_of_persons_in_cohorts_needs_one_cohort(tmp_path):
    persons = Schema.model_validate(
        {
            **dict(SCHEMA),
            "columns": (*SCHEMA.columns, IdColumn(name="who")),
            "person_key": "who",
            "cohorts": SCHEMA.cohorts.model_copy(update={"per_person": 2}),
        }
    )
    persons.save(tmp_path / "schema.json")
    for options in ((), ("--cohort", "2025Q1..2025Q2")):
        done = init(tmp_path / "s", tmp_path / "schema.json", *options)
        assert done.returncode == 2
        assert "a study is about one cohort" in done.stderr


def test_refreshes_that_cannot_be_made(chain, tmp_path):
    cases = [
        (("--cohort", "2025Q2"), "was measured in the studies before"),
        (("--cohort", "2025"), "expected a name such as 2027Q1"),
        (("--half-life", "0"), "--half-life 0"),
        (("--folder", str(chain[0].path)), "exists"),
    ]
    for options, fault in cases:
        done = fedsynth("study", "refresh", chain[-1].path, *options)
        assert done.returncode == 2, done.stdout
        assert fault in done.stderr
    unfinished = tmp_path / "new"
    SCHEMA.save(tmp_path / "schema.json")
    assert init(unfinished, tmp_path / "schema.json", "--cohort", "2025Q1").returncode == 0
    assert "is not finished" in fedsynth("study", "refresh", unfinished).stderr


def test_a_damaged_file_of_counts_is_named(chain, tmp_path):
    path = tmp_path / "carried.safetensors"
    path.write_bytes((chain[0].path / "carried.safetensors").read_bytes()[:200])
    with pytest.raises(InputError, match="damaged"):
        Carried.load(path)
