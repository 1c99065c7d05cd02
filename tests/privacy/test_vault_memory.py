"""How much memory a request takes does not depend on how many records there are.

Every figure is of a process of its own: its peak of resident memory is taken before the request and
after. The tables are a single record, two neighbouring tables and 200,000 records, more than are
looked at together. A request of another kind joins by a line in `REQUESTS`.
"""

import json
import os
import resource
import subprocess
import sys

import pytest
from small_site import WIDTHS, Site, make_plan, make_records

from fedsynth_client.vault.checks import measurement_of
from fedsynth_common.limits import (
    AXES_PER_COLUMN,
    LARGEST_REQUEST_BYTES,
    MAX_CELLS,
    MAX_MARGINALS,
    MAX_VARIANCES,
    REQUEST_BYTES,
)
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import pack_views

pytestmark = pytest.mark.privacy
TABLES = (1, 3_000, 3_001, 200_000)
NOISE = 1 << 20  # bytes; two processes that do the same seldom differ at all
HUGE = 10**7  # variance that satisfies the plan for as many marginals


def pairs(site, many):
    """Many marginals of all columns, seen through as many views as a request may have."""
    views = pack_views(
        [[0, 1, 1], [1, 0, 0], [0, 0, 1], [1, 1, 0], [0, 1, 0], [1, 0, 1], [0, 1, 2]]
    )
    axes = [pb.Axis(column=0, view=k % 7) for k in range(many)]
    marginals = [
        pb.Marginal(axes=[axis, pb.Axis(column=1, view=-1)], noise_variance=HUGE) for axis in axes
    ]
    return site.measure_request(marginals=marginals, views=views)


def widest(site):
    """As many counts as a reply can hold."""
    one = [pb.Axis(column=c, view=-1) for c in range(3)]
    many = min(MAX_MARGINALS, MAX_CELLS // 24)
    return site.measure_request(marginals=[pb.Marginal(axes=one, noise_variance=HUGE)] * many)


REQUESTS = {
    "measure: an ordinary request": Site.measure_request,
    "measure: many marginals": lambda site: pairs(site, 2_000),
}
LARGEST = {"measure: the most marginals": widest}


def measured(names, tables, limit=None):
    """(status, growth of the peak in bytes) by request and number of records.

    One process loads the libraries and forks for each figure: the peak of a fork starts at what it
    has, and grows by what the request takes. A `limit` is on addresses, beyond what there is.
    """
    code = (
        "import sys; sys.path[:0] = ['tests', 'tests/privacy']\n"
        f"import test_vault_memory as t; t.parent({list(names)!r}, {list(tables)!r}, {limit!r})\n"
    )
    command = [sys.executable, "-c", code]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return {(name, rows): (status, peak) for name, rows, status, peak in json.loads(done.stdout)}


def parent(names, tables, limit):
    for method in {name.partition(":")[0] for name in names}:
        site = Site().enrolled()
        site.vault.call(method, getattr(site, f"{method}_request")().SerializeToString())
    print(
        json.dumps([[name, rows, *forked(name, rows, limit)] for name in names for rows in tables])
    )


def forked(name, rows, limit):
    read, write = os.pipe()
    child = os.fork()
    if child:
        os.close(write)
        with os.fdopen(read) as file:
            answer = json.loads(file.read() or '["died", 0]')
        os.waitpid(child, 0)
        return answer
    try:
        os.write(write, json.dumps(one(name, rows, limit)).encode())
    finally:
        os._exit(0)


def one(name, rows, limit):
    site = Site(records=make_records(rows)).enrolled()
    method, body = name.partition(":")[0], (REQUESTS | LARGEST)[name](site).SerializeToString()
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (virtual_size() + limit,) * 2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    reply = site.vault.call(method, body)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    kind = pb.MeasureReply if method == "measure" else pb.DiscriminateReply
    return [kind.FromString(reply).status, 1024 * grown]


def virtual_size():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def test_the_peak_of_a_request_is_the_same_for_any_number_of_records():
    found = measured(REQUESTS, TABLES)
    assert {status for status, _ in found.values()} == {"OK"}
    for name in REQUESTS:
        peaks = [found[name, rows][1] for rows in TABLES]
        assert max(peaks) - min(peaks) < NOISE, found


def test_a_limit_of_memory_does_not_tell_how_many_records_there_are():
    """The red team's request, as far as it is still allowed, under a limit that it fits into."""
    found = measured(["measure: many marginals"], TABLES, limit=256 << 20)
    assert {status for status, _ in found.values()} == {"OK"}


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_request_stays_below_what_is_announced(name):
    status, peak = measured([name], [200_000])[name, 200_000]
    assert status == "OK"
    assert peak < LARGEST_REQUEST_BYTES


def refused(site, **changes):
    before = site.ledger.head()[0]
    reply = site.vault.measure(site.measure_request(**changes))
    assert (reply.status, site.ledger.head()[0]) == ("ERR_PAYLOAD", before)


def test_views_without_end_are_refused_before_the_charge():
    site, many = Site().enrolled(), AXES_PER_COLUMN * len(WIDTHS)
    one = [pb.Axis(column=0, view=-1)]
    for views, status in ((many, "ERR_PAYLOAD"), (many - 1, "OK")):
        marginals = [
            pb.Marginal(axes=[pb.Axis(column=1, view=k)], noise_variance=HUGE) for k in range(views)
        ]
        request = site.measure_request(
            views=pack_views([[0, 1]] * views),
            marginals=[*marginals, pb.Marginal(axes=one, noise_variance=HUGE)],
        )
        assert site.vault.measure(request).status == status


def test_marginals_axes_and_variances_without_end_are_refused_before_the_charge():
    site, one = Site().enrolled(), [pb.Axis(column=0, view=-1)]
    refused(site, marginals=[pb.Marginal(axes=one, noise_variance=HUGE)] * (MAX_MARGINALS + 1))
    refused(site, marginals=[pb.Marginal(axes=one * 4, noise_variance=HUGE)])
    noises = [pb.Marginal(axes=one, noise_variance=HUGE - k) for k in range(MAX_VARIANCES + 1)]
    refused(site, marginals=noises)
    assert measurement_of(site.measure_request(marginals=noises[1:]), site.plan, site.schema)


def test_counts_beyond_a_reply_are_refused_before_the_charge(monkeypatch):
    monkeypatch.setattr("fedsynth_client.vault.checks.MAX_CELLS", 25)
    refused(Site().enrolled())


@pytest.mark.parametrize("method", REQUEST_BYTES)
def test_a_request_beyond_its_length_is_not_even_parsed(method):
    site = Site().enrolled()
    body = bytes(REQUEST_BYTES[method] + 1)
    assert b"ERR_PAYLOAD" in site.vault.call(method, body)
    assert site.ledger.head()[0] == 0


def test_a_plan_with_huge_networks_is_refused_before_a_request_is_made():
    with pytest.raises(ValueError, match="parameters"):
        make_plan(training={"hidden": (3_000, 3_000)})
