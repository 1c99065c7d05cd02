"""`fedsynth benchmark overhead`: a study's messages beside an empty app's, over a real SuperLink."""

import json
import os

import pytest
from command import fedsynth

from fedsynth_server.study.planning import Rounds, make_plan
from fedsynth_simulations.benchmarks.overhead import exchange_seconds
from fedsynth_simulations.demo_data import demo_schema


def test_a_default_study_has_at_most_forty_messages_per_site():
    fields = {"table": demo_schema(), "sites": ["a", "b"], "records_per_site": 5000}
    fields |= {"variant": "both"}
    plan = make_plan(study="s", epsilon=1.0, delta=1e-5, rounds=Rounds(), **fields)
    messages = len(plan.measure) + plan.discriminator.messages
    assert messages + 2 == 28  # enrolment and receipt


def test_seconds_are_those_between_request_and_end(tmp_path):
    for step, (begun, ended) in enumerate([(100, 103), (110, 111)], start=1):
        for part, moment in (("request", begun), ("closed", ended)):
            path = tmp_path / f"{step:04d}-measure.{part}"
            path.touch()
            os.utime(path, (moment, moment))
    (tmp_path / "0003-discriminate.request").touch()  # not over
    assert exchange_seconds(tmp_path) == [3.0, 1.0]


@pytest.mark.slow
def test_both_run_over_the_same_superlink():
    ended = fedsynth("benchmark", "overhead", "--messages", 1, "--empty", 2, "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found["study"]["messages"] == 2 + 1 + 2
    assert found["empty"]["messages"] == 2
    assert 0 < found["empty"]["seconds"] < 300
    assert found["study"]["bytes"] > found["body_bytes"] > found["empty"]["bytes"] > 0
    assert found["bytes_ratio"] > 1
    assert found["time_ratio"] > 0
