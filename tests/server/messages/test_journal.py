"""The journal: whatever happens to the study's process or to its files, never another result."""

import hashlib
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from killed_study import grid_of, make_folder
from small_study import SITES, make_small_plan

from fedsynth_client.budget.charge_chain import read_charges
from fedsynth_common.errors import FedsynthError
from fedsynth_release.generator import Generator
from fedsynth_release.report import StudyHistory
from fedsynth_server.app import run_study
from fedsynth_server.messages.journal import Closed, Journal
from fedsynth_server.study.state import State

SCRIPT = Path(__file__).with_name("killed_study.py")
WRITES = 24  # settings, three keys, four exchanges of request, three replies and an end


def weights_of(study):
    return hashlib.sha256((study.generator / "generator.safetensors").read_bytes()).hexdigest()


def curves_of(study):
    return StudyHistory.load(study.history).curves


def charges_of(study):
    return {site: read_charges(study.path.parent / f"{site}.ledger") for site in SITES}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A study that nothing happened to: its generator, its journal."""
    study = make_folder(tmp_path_factory.mktemp("undisturbed") / "study")
    run_study(study, grid_of(study))
    return study


def run_in_a_process(study, *kill):
    command = [sys.executable, str(SCRIPT), str(study.path), *map(str, kill)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def assert_same(study, undisturbed):
    assert weights_of(study) == weights_of(undisturbed)
    assert curves_of(study) == curves_of(undisturbed)  # whole ones, though it began anew
    for site, charges in charges_of(study).items():
        steps = [charge.step for charge in charges]
        assert sorted(steps) == [1, 2, 3, 4], f"{site}: a step was charged twice, or never"
        assert charges == charges_of(undisturbed)[site]


def test_a_study_writes_what_this_file_counts_on(undisturbed):
    assert len(list(undisturbed.journal.iterdir())) == WRITES
    assert Generator.load(undisturbed.generator).sample(5, seed=1).shape[0] == 5
    assert len(curves_of(undisturbed)) == 6


def test_a_study_that_is_killed_again_and_again_ends_with_the_same_generator(tmp_path, undisturbed):
    """First with two replies of three on disk, then when all are in but the end is not."""
    study = make_folder(tmp_path / "study")
    for *kill, entries in (("after", 7, 7), ("before", 13, 19)):
        ended = run_in_a_process(study, *kill)
        assert ended.returncode == -signal.SIGKILL, ended.stderr
        assert len(list(study.journal.iterdir())) >= entries
        assert not study.generator.exists()
    run_study(study, grid_of(study))
    assert_same(study, undisturbed)
    assert "resumed" in (study.generator / "MODEL_CARD.md").read_text()
    assert State.read(study.state_file).outcome == "finished"


@pytest.mark.slow
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, WRITES + 1))
def test_killed_at_every_write(tmp_path, undisturbed, when, number):
    study = make_folder(tmp_path / "study")
    assert run_in_a_process(study, when, number).returncode == -signal.SIGKILL
    run_study(study, grid_of(study))
    assert_same(study, undisturbed)


def copy_of(undisturbed, tmp_path):
    """The same study before its export, with ledgers."""
    study = make_folder(tmp_path / "study")
    study.journal.mkdir()
    for entry in undisturbed.journal.iterdir():
        (study.journal / entry.name).write_bytes(entry.read_bytes())
    for path in undisturbed.path.parent.glob("*.ledger*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return study


def test_finished_sites_are_not_asked_again(tmp_path, undisturbed):
    study = copy_of(undisturbed, tmp_path)
    grid = grid_of(study)
    run_study(study, grid)
    assert_same(study, undisturbed)
    assert {tuple(v.asked) for v in grid.vaults.values()} == {("enroll", "receipt")}


def test_a_site_that_is_gone_when_the_study_resumes_keeps_its_replies(tmp_path, undisturbed):
    study = copy_of(undisturbed, tmp_path)
    make_folder(study.path, quorum=2)
    grid = grid_of(study)
    grid.down.add(3)
    study.config_file.write_text(
        study.config_file.read_text().replace("gather = 0", "gather = 0.2")
    )
    run_study(study, grid)
    assert weights_of(study) == weights_of(undisturbed)
    statement = json.loads((study.generator / "privacy_statement.json").read_text())
    assert [site["status"] for site in statement["sites"]] == ["complete", "lost", "complete"]


@pytest.mark.parametrize("part", ["request", "reply", "closed"])
def test_a_truncated_entry_is_set_aside_and_asked_again(tmp_path, undisturbed, part):
    study = copy_of(undisturbed, tmp_path)
    for entry in sorted(study.journal.glob(f"*.{part}")):
        entry.write_bytes(entry.read_bytes()[:-10])
    run_study(study, grid_of(study))
    assert_same(study, undisturbed)
    assert list(study.journal.glob("*.damaged"))
    assert "was damaged" in (study.generator / "MODEL_CARD.md").read_text()


def test_of_64_flipped_bytes_none_changes_the_generator(tmp_path, undisturbed):
    """Each in another copy of the journal, read as the study reads it."""
    study = copy_of(undisturbed, tmp_path)
    plan, settings = study.plan(), study.config().training.model_dump_json()
    rng, entries = np.random.default_rng(64), sorted(study.journal.iterdir())
    truth = {path.name: path.read_bytes() for path in entries}
    for _ in range(64):
        path = entries[rng.integers(len(entries))]
        data = bytearray(truth[path.name])
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        journal = Journal(study.journal, plan, settings)
        contents_are_true_or_absent(journal, truth)
        assert journal.damaged == (path.name,)
        for entry in study.journal.iterdir():
            entry.unlink()
        for name, content in truth.items():
            (study.journal / name).write_bytes(content)


def contents_are_true_or_absent(journal, truth):
    for site in SITES:
        journal.receipt_key(site, body_of(truth[f"{SITES.index(site):03d}.key"]))
    for method, step in (("measure", 1), ("measure", 2), ("discriminate", 3), ("discriminate", 4)):
        name = f"{step:04d}-{method}"
        request = body_of(truth[f"{name}.request"])
        assert journal.request(method, step, request) == request
        for site, reply in journal.replies(method, step).items():
            assert reply == body_of(truth[f"{name}.{SITES.index(site):03d}.reply"])
        assert journal.closed(method, step) in (None, Closed(list(SITES), {}))


def body_of(entry):
    return entry[:-32].partition(b"\n")[2]


@pytest.mark.slow
def test_of_64_flipped_bytes_the_study_ends_the_same_or_says_why(tmp_path, undisturbed):
    rng = np.random.default_rng(65)
    for number in range(64):
        (tmp_path / str(number)).mkdir()
        study = copy_of(undisturbed, tmp_path / str(number))
        entries = sorted(study.journal.iterdir())
        path = entries[rng.integers(len(entries))]
        data = bytearray(path.read_bytes())
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        path.write_bytes(data)
        run_study(study, grid_of(study))
        assert_same(study, undisturbed)


def test_entries_in_each_others_place_are_set_aside(tmp_path, undisturbed):
    study = copy_of(undisturbed, tmp_path)
    first, second = (study.journal / f"0003-discriminate.00{i}.reply" for i in (0, 1))
    one, other = first.read_bytes(), second.read_bytes()
    first.write_bytes(other)
    second.write_bytes(one)
    journal = Journal(study.journal, study.plan(), study.config().training.model_dump_json())
    assert list(journal.replies("discriminate", 3)) == ["west"]
    assert set(journal.damaged) == {first.name, second.name}


def test_a_reply_to_another_request_is_set_aside(tmp_path):
    journal = Journal(tmp_path / "journal", make_small_plan("both"), "{}")
    journal.request("measure", 1, b"first")
    journal.keep("measure", 1, "north", b"answer")
    (tmp_path / "journal" / "0001-measure.request").unlink()
    journal.request("measure", 1, b"second")
    assert journal.replies("measure", 1) == {}


def test_another_plan_is_refused(tmp_path, undisturbed):
    study = copy_of(undisturbed, tmp_path)
    study.plan_file.write_bytes(make_small_plan("both", study="another").to_json())
    with pytest.raises(FedsynthError, match=r"belongs to the plan .*put the right plan.json back"):
        run_study(study, grid_of(copy_of(undisturbed, tmp_path / "ledgers")))
    assert State.read(study.state_file).outcome == "failed"
    assert not study.generator.exists()


def test_other_training_settings_are_refused(tmp_path, undisturbed):
    study = copy_of(undisturbed, tmp_path)
    make_folder(study.path, seed=7)
    with pytest.raises(FedsynthError, match="other training settings"):
        run_study(study, grid_of(study))


def test_a_lost_reply_that_nobody_repeats_ends_the_study(tmp_path, undisturbed):
    study = copy_of(undisturbed, tmp_path)
    make_folder(study.path, quorum=2)
    (study.journal / "0001-measure.001.reply").write_bytes(b"garbage")
    grid = grid_of(study)
    grid.down.add(3)
    study.config_file.write_text(
        study.config_file.read_text().replace("gather = 0", "gather = 0.2")
    )
    with pytest.raises(FedsynthError, match=r"lost replies of step 1 .*south"):
        run_study(study, grid)
    assert "step 1" in State.read(study.state_file).error


def test_a_site_with_another_key_than_at_first_is_not_that_site(tmp_path, undisturbed):
    study = copy_of(undisturbed, tmp_path)
    make_folder(study.path, quorum=2)
    (study.journal / "001.key").unlink()
    journal = Journal(study.journal, study.plan(), study.config().training.model_dump_json())
    journal.receipt_key("south", b"k" * 32)
    run_study(study, grid_of(study))
    assert "another receipt key" in (study.generator / "MODEL_CARD.md").read_text()


def test_naming_a_key_does_not_adopt_the_replies_of_whoever_came_before(tmp_path, undisturbed):
    study = copy_of(undisturbed, tmp_path)
    make_folder(study.path, quorum=2)
    journal = Journal(study.journal, study.plan(), study.config().training.model_dump_json())
    key = journal.receipt_key("south", b"")
    (study.journal / "001.key").unlink()
    journal.receipt_key("south", b"k" * 32)
    with study.config_file.open("a") as file:
        file.write(f'[receipt_keys]\nsouth = "{key.hex()}"\n')
    run_study(study, grid_of(study))
    assert "journal holds another's replies" in (study.generator / "MODEL_CARD.md").read_text()


def test_a_late_reply_is_merged_nowhere(tmp_path, undisturbed):
    """South answers step 3 after the deadline: the resumed study does without it, as the first did."""
    study = make_folder(tmp_path / "study", quorum=2)
    grid = grid_of(study)
    held = []
    original = grid.pull_messages

    def pull(numbers):
        replies = list(original(numbers))
        late = [r for r in replies if r.metadata.message_type == "train.discriminate"]
        if late and not held:
            held.extend(r for r in replies if r.metadata.src_node_id == 3)
            replies = [r for r in replies if r.metadata.src_node_id != 3]
        return replies

    grid.pull_messages = pull
    study.config_file.write_text(
        study.config_file.read_text().replace("deadline = 5", "deadline = 1")
    )
    run_study(study, grid)
    assert len(held) == 1
    end = json.loads(body_of((study.journal / "0003-discriminate.closed").read_bytes()))
    assert end["merged"] == ["north", "west"]
    assert not (study.journal / "0003-discriminate.001.reply").exists()
    first = weights_of(study)
    assert first != weights_of(undisturbed)
    for path in study.generator.iterdir():
        path.unlink()
    study.generator.rmdir()
    again = grid_of(study)
    run_study(study, again)  # south could answer now: from its outbox, at no charge
    assert weights_of(study) == first
    assert again.vaults["south"].asked == ["enroll", "receipt"]


def test_one_folder_one_run(tmp_path):
    study = make_folder(tmp_path / "study")
    with study.lock(), pytest.raises(FedsynthError, match="another run is at work"):
        run_study(study, grid_of(study))
    assert not study.state_file.exists()  # the other run's state is not touched
    run_study(study, grid_of(study))
    with pytest.raises(FedsynthError, match="the study is finished"):
        run_study(study, grid_of(study))
