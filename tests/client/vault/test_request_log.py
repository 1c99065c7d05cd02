"""The vault's log: a line a request, from nothing that the ledger does not hold."""

import logging
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from small_site import WIDTHS, Site, make_policy, make_records, run

from fedsynth_client.records.records import Records
from fedsynth_client.vault.callers import LocalVault
from fedsynth_client.vault.request_log import Handled, RequestLog
from fedsynth_common.errors import ErrorCode
from fedsynth_common.privacy.randomness import SeededRandomness


@pytest.fixture
def log(caplog):
    """The lines of the vault's logger, whoever has set the logger up before."""
    logger = logging.getLogger("fedsynth.vault")
    logger.addHandler(caplog.handler)
    before = logger.level
    logger.setLevel(logging.INFO)
    yield caplog
    logger.setLevel(before)
    logger.removeHandler(caplog.handler)


def lines(log):
    """Each line once; a logger that passes on to the root would show it twice."""
    return list(dict.fromkeys(record.getMessage() for record in log.records))


def test_every_step_has_a_line_with_its_cost_and_what_is_left(log):
    site = Site().enrolled()
    run(site, "measure")
    run(site, "discriminate")
    run(site, "receipt")
    accepted, measured, trained, receipt = lines(log)
    assert accepted.startswith(f"study study (enroll): the plan {site.plan.digest[:16]}...")
    pattern = (
        r"study study, step (\d) \((\w+)\): charged; the study has now cost epsilon ([\d.]+) of its "
        r"[\d.]+; of the cap 10 epsilon ([\d.]+) is left"
    )
    first, second = (re.fullmatch(pattern, line).groups() for line in (measured, trained))
    assert first[:2] == ("2", "measure")
    assert second[:2] == ("3", "discriminate")
    assert 0 < float(first[2]) < float(second[2])
    for _, _, cost, left in (first, second):
        assert float(cost) + float(left) == pytest.approx(10, abs=1e-3)
    assert receipt == "study study (receipt): answered; nothing is charged"


def test_a_repeated_step_is_said_to_cost_nothing(log):
    site = Site().enrolled()
    run(site, "measure")
    log.clear()
    run(site, "measure")
    assert lines(log) == [
        "study study, step 2 (measure): answered again as before; nothing is charged"
    ]


def test_a_plan_that_nobody_approved_is_visible_at_the_site(log):
    site = Site(policy=make_policy(approved_plans=()))
    assert site.enroll() == "ERR_PLAN"
    (line,) = lines(log)
    assert line.startswith("enroll: refused with ERR_PLAN: no plan of digest " + site.plan.digest)
    assert "fedsynth site approve PLAN" in line


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"site": "west"}, "it does not name this site (west)"),
        ({"max_epsilon": 1.0}, "it costs 3.2314; one study may cost 1"),
        ({"max_delta": 1e-7}, "above the policy's 1e-07"),
        ({"min_records": 1000}, "min_records in policy.toml"),
    ],
)
def test_a_refusal_says_why_and_what_to_do(log, policy, said):
    assert Site(policy=make_policy(**policy)).enroll() != "OK"
    (line,) = lines(log)
    assert line.startswith("study study (enroll): refused with ERR_")
    assert said in line


def test_bytes_that_are_no_request_are_told_and_not_repeated(log):
    LocalVault(Site().enrolled().vault).call("measure", b"\xff\x00secret")
    assert "measure: refused with ERR_PAYLOAD" in lines(log)[-1]
    assert "secret" not in "".join(lines(log))


def test_every_code_has_a_remedy(log):
    requests = RequestLog()
    for code in set(ErrorCode) - {ErrorCode.OK}:
        log.clear()
        requests.refused(Handled("measure"), code)
        (line,) = lines(log)
        assert len(line.partition(f"refused with {code.value}: ")[2]) > 20


def test_many_refusals_are_counted_and_fill_no_disk(log):
    now = [0.0]
    requests = RequestLog(lambda: now[0])
    for number in range(1000):
        requests.refused(Handled(f"measure {number}"), ErrorCode.PAYLOAD)
    assert len(lines(log)) == 60
    now[0] = 61.0
    requests.refused(Handled("enroll"), ErrorCode.PLAN)
    assert "940 more refused requests are not listed" in lines(log)[-2]
    assert lines(log)[-1].startswith("enroll: ")


def test_the_records_do_not_decide_a_single_byte_of_the_log(log):
    """The whole life of a study on two different tables, with the noise of one seed."""
    said = []
    for records in (make_records(seed=1), all_alike(rows=199)):
        log.clear()
        site = Site(records=records, randomness=SeededRandomness(3)).enrolled()
        for method in ("measure", "discriminate", "measure", "receipt"):
            run(site, method)
        run(site, "measure", step=9)
        said.append(lines(log))
    assert said[0] == said[1]
    assert len(said[0]) == 6


def all_alike(rows):
    return Records(np.zeros((rows, len(WIDTHS)), np.uint16))


def test_a_handler_of_a_dependency_on_the_root_logger_swallows_nothing():
    code = (
        "import logging\n"
        "logging.getLogger().addHandler(logging.NullHandler())\n"
        "from fedsynth_common.cli.logs import log_to_stderr\n"
        "log_to_stderr(); log_to_stderr()\n"
        "logging.getLogger('fedsynth.vault').info('one line')\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        check=True,
    )
    (line,) = ended.stderr.splitlines()
    assert line.endswith("INFO one line")
