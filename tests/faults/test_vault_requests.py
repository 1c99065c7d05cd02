"""What couriers do to a vault: repeat, reorder, contradict, crowd, vanish, speak another version."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from small_site import SCHEMA, Site, make_plan
from vault_process import LONG, Launcher, make_site

from fedsynth_client.budget.policy import Policy
from fedsynth_client.budget.spending import read_ledger, spending
from fedsynth_client.vault.callers import SERVICE
from fedsynth_common.protocol import PROTOCOL_VERSION
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import unpack_counts
from fedsynth_common.protocol.plan import MeasureStep

pytestmark = pytest.mark.slow
CLIENTS = 8
CAP = 1.5


@pytest.fixture
def served(site):
    site.start()
    assert site.enroll() == "OK"
    return site


def test_repeated_and_reordered_requests_get_the_same_bytes(served):
    """`VaultSite.call` compares every reply of a key with the first."""
    requests = [("measure", served.requests.measure_request(step)) for step in (1, 2)]
    requests += [("discriminate", served.requests.discriminate_request(k)) for k in range(3, 9)]
    rng = random.Random(1)
    for _ in range(4):
        rng.shuffle(requests)
        assert {served.status(method, request) for method, request in requests} == {"OK"}
    assert len(served.check_books()) == len(requests)


@pytest.mark.parametrize("method", ["measure", "discriminate"])
def test_other_content_for_a_used_step_is_a_conflict_also_after_a_restart(served, method):
    first = getattr(served.requests, f"{method}_request")()
    weights = bytes(4 * served.requests.parameters)
    changed = {"variance": 13} if method == "measure" else {"weights": weights}
    other = getattr(served.requests, f"{method}_request")(**changed)
    assert served.status(method, first) == "OK"
    for _ in range(2):
        assert served.status(method, other) == "ERR_CONFLICT"
        assert served.status(method, first) == "OK"
        served.kill()
        served.start()
    assert len(served.check_books()) == 1


def test_eight_clients_asking_the_same_step_get_one_computation(served):
    request = served.requests.discriminate_request()
    with ThreadPoolExecutor(CLIENTS) as pool:
        statuses = list(pool.map(lambda _: served.status("discriminate", request), range(CLIENTS)))
    assert statuses == ["OK"] * CLIENTS
    assert len(served.check_books()) == 1


def test_the_budget_holds_under_eight_clients_and_new_studies(launcher, tmp_path):
    """New study names and runs start no new budget: the cap is the data set's, whoever asks at once."""
    site = make_site(tmp_path / "north", launcher, cap=CAP).start()
    measured = {"purpose": "marginals", "noise_multiplier": 8.0}
    steps = [MeasureStep(step=number, **measured) for number in (1, 2)]
    plans = [make_plan(study=f"run-{k}", epsilon=1.0, measure=tuple(steps)) for k in range(CLIENTS)]
    plans = [plan.model_copy(update={"discriminator": None}) for plan in plans]
    statuses = []

    def study(plan):
        statuses.append(call(site, "enroll", enrolment(plan)).status)
        statuses.append(call(site, "measure", ask(plan, 1)).status)
        statuses.append(call(site, "measure", ask(plan, 2)).status)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(study, plans))
    site.end()
    ledger, policy = read_ledger(site.ledger, "people"), Policy.load(site.folder / "policy.toml")
    assert 0.5 * CAP < spending(ledger.charges, policy).spent <= CAP
    assert set(statuses) <= {"OK", "ERR_BUDGET", "ERR_PLAN"}  # ERR_PLAN: was not admitted at all
    assert "ERR_BUDGET" in statuses


def enrolment(plan, version=PROTOCOL_VERSION):
    return pb.EnrollRequest(protocol_version=version, plan_json=plan.to_json())


def ask(plan, step):
    return Site(plan=plan).measure_request(step, variance=3 * 64)  # noise multiplier 8


def call(site, method, request):
    replies = {"enroll": pb.EnrollReply, "measure": pb.MeasureReply}
    return replies[method].FromString(site.vault.call(method, request.SerializeToString()))


def test_health_is_answered_while_eight_clients_wait(launcher, tmp_path):
    site = make_site(tmp_path / "north", launcher).start({"name": "slow", "seconds": 2.0})
    site.enroll()
    request = site.requests.discriminate_request()
    with ThreadPoolExecutor(CLIENTS) as pool:
        calls = [pool.submit(site.status, "discriminate", request) for _ in range(CLIENTS)]
        time.sleep(0.5)
        with grpc.insecure_channel(f"unix:{site.socket}") as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            answer = stub.Check(health_pb2.HealthCheckRequest(service=SERVICE), timeout=1.5)
        assert answer.status == 1
        assert not any(done.done() for done in calls)
        assert [done.result() for done in calls] == ["OK"] * CLIENTS
    site.end()


def test_a_crowd_is_turned_away_and_may_come_back(launcher, tmp_path):
    site = make_site(tmp_path / "north", launcher).start({"name": "slow", "seconds": 1.0})
    site.enroll()
    request = site.requests.discriminate_request()
    with ThreadPoolExecutor(40) as pool:
        statuses = list(pool.map(lambda _: site.status("discriminate", request), range(40)))
    assert {"OK", "dead"} == set(statuses)  # "dead" is any RpcError: here RESOURCE_EXHAUSTED
    assert site.status("discriminate", request) == "OK"
    assert len(site.check_books()) == 1
    site.end()


COURIER = """
import sys
from pathlib import Path
from fedsynth_client.vault.callers import SocketVault
body = Path(sys.argv[2]).read_bytes()
print("asking", flush=True)
SocketVault(sys.argv[1]).call("discriminate", body)
"""


def test_a_courier_that_is_killed_costs_nothing_but_its_own_reply(launcher, tmp_path):
    """The vault finishes what it charged; the next courier gets it from the outbox."""
    site = make_site(tmp_path / "north", launcher).start({"name": "slow", "seconds": 0.5})
    site.enroll()
    request = site.requests.discriminate_request()
    (tmp_path / "body").write_bytes(request.SerializeToString(deterministic=True))
    command = [sys.executable, "-c", COURIER, str(site.socket), str(tmp_path / "body")]
    courier = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    courier.stdout.readline()
    time.sleep(0.4)
    courier.kill()
    courier.wait()
    courier.stdout.close()
    assert site.status("discriminate", request) == "OK"
    assert len(site.check_books()) == 1
    site.end()


def test_sigterm_during_a_step_finishes_it_and_ends(launcher, tmp_path):
    site = make_site(tmp_path / "north", launcher).start({"name": "slow", "seconds": 0.7})
    site.enroll()
    request, statuses = site.requests.discriminate_request(), []
    caller = threading.Thread(target=lambda: statuses.append(site.status("discriminate", request)))
    caller.start()
    while not site.check_books():
        time.sleep(0.02)
    assert site.kill(signal.SIGTERM) == 0
    caller.join()
    assert statuses == ["OK"]
    assert not site.socket.exists()
    site.start()
    assert site.status("discriminate", request) == "OK"
    assert len(site.check_books()) == 1
    site.end()


CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
static long off(void) { return atol(getenv("CLOCK_OFFSET")); }
int clock_gettime(clockid_t id, struct timespec *t) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int r = real(id, t);
  if (id == CLOCK_REALTIME) t->tv_sec += off();
  return r;
}
int gettimeofday(struct timeval *v, void *z) {
  struct timespec t; (void)z;
  clock_gettime(CLOCK_REALTIME, &t); v->tv_sec = t.tv_sec; v->tv_usec = t.tv_nsec / 1000;
  return 0;
}
time_t time(time_t *p) {
  struct timespec t; clock_gettime(CLOCK_REALTIME, &t); if (p) *p = t.tv_sec; return t.tv_sec;
}
"""


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler, for another clock")
@pytest.mark.parametrize("seconds", [-86_400, 86_400])
def test_a_clock_that_is_a_day_off_changes_nothing(site, tmp_path, seconds):
    """The ledger knows order, not time: no budget refills, and no charge is refused for its date."""
    (tmp_path / "clock.c").write_text(CLOCK)
    command = ["cc", "-shared", "-fPIC", "-o", tmp_path / "clock.so", tmp_path / "clock.c", "-ldl"]
    subprocess.run(command, check=True)
    shifted = {"LD_PRELOAD": str(tmp_path / "clock.so"), "CLOCK_OFFSET": str(seconds)}
    site.start()
    site.enroll()
    assert site.status("measure", site.requests.measure_request(1)) == "OK"
    site.kill()
    with Launcher(tmp_path / "launcher.log", shifted) as elsewhen:
        site.launcher, ours = elsewhen, site.launcher
        site.start()
        assert site.enroll() == "OK"
        assert site.status("measure", site.requests.measure_request(1)) == "OK"
        assert site.status("measure", site.requests.measure_request(2)) == "OK"
        receipt = site.call("receipt", pb.ReceiptRequest(plan_digest=bytes.fromhex(LONG.digest)))
        assert receipt.status == "OK"
        site.kill()
        site.launcher = ours
    assert site.check_books() == [("study", 1), ("study", 2)]


def test_a_table_replaced_while_serving_is_not_looked_at(site):
    """The encoded copy is used until the restart: another table in between changes no answer."""

    def ward_a(step, variance):
        one = pb.Marginal(axes=[pb.Axis(column=0, view=-1)], noise_variance=variance)
        request = site.requests.measure_request(step, marginals=[one])
        return unpack_counts(site.call("measure", request).counts, 3)[0]

    site.start()
    site.enroll()
    before = ward_a(1, 4)
    (site.folder / "t.csv").write_text("ward,smoker,outcome\n" + "a,true,w\n" * 3000)
    after = ward_a(2, 4)
    assert abs(int(before) - int(after)) < 40  # noise of standard deviation 2 on about 100
    site.kill()
    site.start()
    assert len(site.check_books()) == 2  # the same people: the budget is not renewed


@pytest.mark.parametrize("version", [0, PROTOCOL_VERSION + 1, 2**32 - 1])
def test_another_protocol_version_is_refused_and_both_are_logged(served, version):
    reply = served.call("enroll", enrolment(LONG, version))
    assert reply == pb.EnrollReply(status="ERR_VERSION")
    said = served.log.read_text()
    assert f"protocol {version}, this vault protocol {PROTOCOL_VERSION}" in said


def test_another_table_is_refused_before_anything_is_charged(served):
    narrower = SCHEMA.model_copy(update={"columns": SCHEMA.columns[:2]})
    other = make_plan(study="other", table=narrower)
    assert served.call("enroll", enrolment(other)).status == "ERR_PLAN"
    unknown = enrolment(LONG)
    unknown.plan_json = unknown.plan_json.replace(b'"format_version":1', b'"format_version":2')
    assert served.call("enroll", unknown).status == "ERR_PLAN"
    assert served.check_books() == []


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="needs Linux")
def test_memory_is_closed_to_dumps_and_debuggers(served):
    limits = Path(f"/proc/{served.pid}/limits").read_text()
    core = next(line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]
    owner = os.stat(f"/proc/{served.pid}/environ").st_uid
    assert owner == 0  # PR_SET_DUMPABLE 0: the kernel gives the entries to root
    if os.getuid() != 0:
        with pytest.raises(PermissionError):
            Path(f"/proc/{served.pid}/environ").read_bytes()


def test_all_files_of_a_ledger_are_closed_to_others(served):
    assert served.status("measure", served.requests.measure_request(1)) == "OK"
    files = [*served.folder.glob("ledger.db*"), served.folder / "site.key"]
    assert {file.name for file in files} >= {"ledger.db", "ledger.db-wal", "ledger.db.witness"}
    assert {file.name: file.stat().st_mode & 0o077 for file in files} == {f.name: 0 for f in files}
