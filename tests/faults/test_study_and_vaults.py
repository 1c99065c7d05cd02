"""A study whose three vaults are killed at random while its own process is killed and resumed.

Real vault processes with their ledgers and noise from OS entropy, the production courier, a Flower
grid in this process, the journal on disk. In the end every site was charged every step once, the
receipts say so, and nothing that went through the sockets or lies in the study's folder holds a cell.
That the resumed generator is the undisturbed one bit for bit is shown in
tests/server/messages/test_journal.py.
"""

import json
import random
import threading
import time

import pytest
from canaries import found_in, table_with_canaries
from faulty_federation import all_bytes
from small_study import SCHEMA, SITES, make_frames, make_small_plan
from vault_process import make_site
from wires import Relay

from fedsynth_client.budget.charge_chain import read_charges
from fedsynth_client.courier import app as courier
from fedsynth_server.app import run_study
from fedsynth_server.messages import enrolment
from fedsynth_server.study.folder import StudyFolder
from fedsynth_server.study.state import State
from fedsynth_simulations.grid import InProcessGrid

pytestmark = pytest.mark.slow

CONFIG = """
[sites]
quorum = {quorum}
deadline = {deadline}
gather = {deadline}
retry = 0.3
patience = {patience}
[training]
fit_steps = 60
network_steps = 60
latents = 256
predictor_steps = 60
adversarial_steps = 2
adversarial_batch = 256
"""


class Killed(BaseException):
    """The coordinator's process ends here."""


class FragileGrid(InProcessGrid):
    """Ends the coordinator at the pushes whose numbers are given."""

    def __init__(self, app, configs, fatal):
        super().__init__(app, configs)
        self._fatal, self._pushes = set(fatal), 0

    def push_messages(self, messages):
        self._pushes += 1
        if self._pushes in self._fatal:
            raise Killed
        sent = super().push_messages(messages)
        if -self._pushes in self._fatal:  # the sites have computed; the replies are not journaled
            raise Killed
        return sent


@pytest.fixture
def hospital(launcher, tmp_path, monkeypatch):
    """Three served vaults behind taps, and a study's folder."""
    monkeypatch.setattr(enrolment, "ASK_AGAIN", 1.0)  # a minute is long for a test
    plan = make_small_plan("both")
    sites, taps = [], []
    for name, frame in make_frames().items():
        table = table_with_canaries(frame).to_csv(index=False).encode()
        site = make_site(tmp_path / name, launcher, table=table, schema=SCHEMA).start()
        site.plan = plan
        sites.append(site)
        taps.append(Relay(str(tmp_path / f"{name}.tap"), str(site.socket)))
    yield sites, taps, tmp_path / "study"
    for site in sites:
        site.end()
    for tap in taps:
        tap.close()


def make_study(path, quorum=3, deadline=90, patience=60):
    study = StudyFolder(path)
    path.mkdir()
    study.plan_file.write_bytes(make_small_plan("both").to_json())
    study.config_file.write_text(CONFIG.format(quorum=quorum, deadline=deadline, patience=patience))
    return study


def run(study, taps, *fatal):
    run_study(study, FragileGrid(courier, [{"vault-socket": tap.here} for tap in taps], fatal))


def steps_charged(site):
    return sorted(charge.step for charge in read_charges(site.ledger))


def test_coordinator_and_vaults_killed_over_and_over(hospital):
    sites, taps, folder = hospital
    study, rng, over = make_study(folder), random.Random(5), threading.Event()

    def trouble():
        while not over.wait(rng.uniform(0.3, 1.2)):
            site = rng.choice(sites)
            site.kill()
            time.sleep(rng.uniform(0.0, 0.5))
            site.start()

    killer = threading.Thread(target=trouble)
    killer.start()
    interrupted, spent = 0, False
    try:
        for fatal in ((-1,), (2,), (-2,), (3, -3), (-4,), (5,), ()):
            try:
                run(study, taps, *fatal)
            except Killed:
                interrupted += 1
                assert State.read(study.state_file).outcome == "failed"
            except Exception as error:  # a reply that was lost in a crash is spent, for good
                spent = "ERR_SPENT" in str(error)
                assert spent, error
                break
            if study.finished():
                break
    finally:
        over.set()
        killer.join()
    assert interrupted >= 3
    for site in sites:
        assert steps_charged(site) == sorted(set(steps_charged(site)))
        searched(site, study, taps)
    if not spent:
        assert study.finished()
        assert all(steps_charged(site) == [1, 2, 3, 4] for site in sites)


def searched(site, study, taps):
    for path, data in all_bytes(site.folder, leave_out={site.folder / "t.csv"}):
        assert found_in(data) is None, path
    for path, data in all_bytes(study.path):
        assert found_in(data) is None, path
    assert sum(len(tap.seen) for tap in taps) > 10_000
    assert all(found_in(bytes(tap.seen)) is None for tap in taps)


def test_a_spent_step_leaves_its_site_out_of_one_message_only(hospital):
    """Charged, not stored: the site is missed once, is charged for that step, and goes on."""
    sites, taps, folder = hospital
    sites[1].kill()
    sites[1].start({"name": "computed", "nth": 3})
    study = make_study(folder, quorum=2)
    revived = threading.Thread(target=lambda: (sites[1].wait(), sites[1].start()))
    revived.start()
    run(study, taps)
    revived.join()
    assert all(steps_charged(site) == [1, 2, 3, 4] for site in sites)
    statement = json.loads((study.generator / "privacy_statement.json").read_text())
    assert [said["status"] for said in statement["sites"]] == ["complete"] * 3
    assert any("ERR_SPENT" in note for note in State.read(study.state_file).notes)


def test_below_the_quorum_the_study_pauses_and_can_be_resumed(hospital):
    """Two of three sites leave for good after the histograms: an end that says why, and a checkpoint."""
    sites, taps, folder = hospital
    study = make_study(folder, quorum=2, deadline=6, patience=1)
    for site in sites[1:]:
        site.kill()
        site.start({"name": "request read", "nth": 2})
    with pytest.raises(Exception, match="1 of 3 sites answered"):
        run(study, taps)
    state = State.read(study.state_file)
    assert state.outcome == "failed"
    assert study.begun()
    assert not study.finished()
    assert [steps_charged(site) for site in sites] == [[1, 2], [1], [1]]
    for site in sites[1:]:
        site.wait()
        site.start()
    run(study, taps)  # they came back
    assert all(steps_charged(site) == [1, 2, 3, 4] for site in sites)


def test_a_site_that_leaves_for_good_is_charged_for_what_it_took_part_in(hospital):
    sites, taps, folder = hospital
    sites[2].kill()
    sites[2].start({"name": "request read", "nth": 3})
    study = make_study(folder, quorum=2, deadline=60, patience=1)
    run(study, taps)
    assert sites[2].wait() == -9
    assert [steps_charged(site) for site in sites] == [[1, 2, 3, 4], [1, 2, 3, 4], [1, 2]]
    statement = json.loads((study.generator / "privacy_statement.json").read_text())
    assert [said["status"] for said in statement["sites"]][:2] == ["complete"] * 2
    assert statement["sites"][2]["status"] != "complete"
    assert {said["site"] for said in statement["sites"]} == set(SITES)


def test_a_site_that_comes_late_takes_part(hospital):
    sites, taps, folder = hospital
    sites[0].kill()
    late = threading.Timer(3.0, sites[0].start)
    late.start()
    run(make_study(folder), taps)
    late.join()
    assert all(steps_charged(site) == [1, 2, 3, 4] for site in sites)
