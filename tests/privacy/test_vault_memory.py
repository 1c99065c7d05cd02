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
import traceback
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch
from secure_sites import Sites
from small_histories import HISTORIES
from small_site import (
    SCHEMA,
    WIDTHS,
    Site,
    make_plan,
    make_policy,
    make_records,
    make_secure_plan,
)
from summed_training import TrainingSites
from torch.profiler import profile

from fedsynth_client.budget.receipts import new_key
from fedsynth_client.records.records import Records
from fedsynth_client.vault.checks import assignment_of, measurement_of
from fedsynth_client.vault.discriminate import Trainer
from fedsynth_client.vault.memory import SAMPLED_BYTES, memory_needed
from fedsynth_common.limits import (
    ACCOUNTANT_BYTES,
    AXES_PER_COLUMN,
    LARGEST_REQUEST_BYTES,
    MAX_CELLS,
    MAX_MARGINALS,
    MAX_VARIANCES,
    REQUEST_BYTES,
)
from fedsynth_common.networks import Discriminator
from fedsynth_common.networks.gradients import RowGradients
from fedsynth_common.networks.unit_gradients import _VALUES, UnitGradients
from fedsynth_common.privacy.randomness import Randomness
from fedsynth_common.protocol import vault_pb2 as pb
from fedsynth_common.protocol.codec import pack, pack_views
from fedsynth_common.protocol.counting import Over
from fedsynth_common.schema import CategoricalColumn, IdColumn, domains, history_schema
from fedsynth_common.secure_sum.terms import pack_parties

pytestmark = pytest.mark.privacy
TABLES = (1, 3_000, 3_001, 200_000)
PERSON = (1, 59, 60)  # rows of one person among others
NOISE = 1 << 20  # bytes; torch holds on to some of what it frees
LITTLE_NOISE = 1 << 18
"""Bytes; numpy does not, and arrays have pages of their own. On two cores with a load of 7 the peaks
of the measure requests differed by 4 to 88 KiB between tables, so this leaves room for twice as much."""
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


def many_views(site):
    """Few counts of many views of one column, so that to look them up takes the most memory."""
    marginals = [
        pb.Marginal(axes=[pb.Axis(column=1, view=k)], noise_variance=HUGE) for k in range(20)
    ]
    return site.measure_request(marginals=marginals, views=pack_views([[0, 1]] * 20))


def of_wide_columns(rows):
    """Three columns whose joint marginal has as many counts as a request may ask for."""
    names = tuple(f"c{k}" for k in range(251))
    columns = tuple(
        CategoricalColumn(name=name, categories=names, other=False) for name in ("x", "y", "z")
    )
    schema = SCHEMA.model_copy(update={"columns": columns})
    codes = np.random.default_rng(0).integers(0, 251, (rows, 3)).astype(np.uint16)
    plan = make_plan(table=schema, discriminator=None)
    return Site(plan=plan, schema=schema, records=Records(codes)).enrolled()


def widest(site):
    one = pb.Marginal(axes=[pb.Axis(column=c, view=-1) for c in range(3)], noise_variance=12)
    assert 251**3 < MAX_CELLS < 252**3
    return site.measure_request(marginals=[one])


def of_records(rows, **changes):
    policy = make_policy(max_sampling_rate=1.0)
    return Site(records=make_records(rows), policy=policy, **changes).enrolled()


def of_one_person(rows, hidden=(4,), per_person=60):
    """Three persons of one row each, and one of as many rows as are given."""
    key = IdColumn(name="pid")
    fields = {"columns": (key, *SCHEMA.columns), "person_key": "pid", "rows_per_person": per_person}
    schema = SCHEMA.model_copy(update=fields)
    codes = np.concatenate([make_records(3).codes, make_records(rows, 7).codes])
    records = Records(codes, np.r_[0:3, np.full(rows, 3)].astype(np.int64))
    records.sort_persons()
    plan = make_plan(table=schema, training=LARGE | {"hidden": hidden})
    policy = make_policy(max_sampling_rate=1.0)
    return Site(plan=plan, schema=schema, records=records, policy=policy).enrolled()


def of_histories(rows):
    """Persons of three events each."""
    rng = np.random.default_rng(0)
    widths = [domain.width for domain in domains(history_schema(HISTORIES))]
    codes = np.stack([rng.integers(0, width, rows) for width in widths], axis=1)
    records = Records(codes.astype(np.uint16), np.arange(rows) // 3)
    plan = make_plan(table=HISTORIES, discriminator=None)
    return Site(plan=plan, schema=HISTORIES, records=records).enrolled()


def of_a_sum(rows):
    """The first of four sites of a secure sum, which has made its shares."""
    four = Sites(4, 1)
    assert four.sealed
    site = four.sites[0]
    site.vault._records = make_records(rows)
    return site


def summed(request):
    """The same question to the first three of them, who mask their counts."""

    def with_parties(site):
        asked = request(site)
        asked.parties = pack_parties((0, 1, 2))
        return asked

    return with_parties


def of_the_widest_sum(rows):
    """As `of_wide_columns`, in a secure sum."""
    alone = of_wide_columns(rows)
    signing = [new_key() for _ in range(4)]
    public = [key.public_key().public_bytes_raw().hex() for key in signing]
    names = ("north", *(f"site-{k}" for k in range(1, 4)))
    keys = dict(zip(names, public, strict=True))
    plan = make_secure_plan(signing[0], 4, table=alone.schema, receipt_keys=keys)
    four = Sites(4, 1, plan=plan, signing=signing, schema=alone.schema, records=alone.records)
    assert four.sealed
    return four.sites[0]


def all_kinds(site):
    """Marginals over persons, events, and pairs of events, of all columns."""
    kinds = [(Over.PERSONS, 0), (Over.EVENTS, 0), (Over.NEXT, 1), (Over.NEXT, 2)]
    marginals = [
        pb.Marginal(
            axes=[pb.Axis(column=c, view=-1), pb.Axis(column=6, view=-1, at=over != Over.EVENTS)],
            noise_variance=HUGE,
            over=int(over),
            lag=lag,
        )
        for over, lag in kinds
        for c in range(6)
    ]
    return site.measure_request(marginals=marginals)


def of_large(hidden):
    return lambda rows: of_records(rows, plan=make_plan(training=LARGE | {"hidden": hidden}))


def discriminating(site):
    """Weights so small that the bound of rounding holds whatever the width."""
    size = site.parameters
    weights = np.random.default_rng(5).normal(0, 1e-4, size)
    return site.discriminate_request(weights=pack(weights, "f4"))


def of_gradients(hidden):
    """The first of four sites that train in a secure sum, which has made its shares."""

    def made(rows):
        four = TrainingSites.of(4, **LARGE, hidden=hidden)
        assert four.sealed
        site = four.sites[0]
        site.vault._records = make_records(rows)
        return site

    return made


def summed_gradients(site):
    asked = discriminating(site)
    asked.moments, asked.parties = b"", pack_parties((0, 1, 2))
    return asked


LARGE = {"steps_per_message": 1, "sampling_rate": 1.0, "noise_multiplier": 4.0}
"""Everybody is drawn, so that no chance decides what is computed."""
WIDE, DEEP = (263_000,), (2_230, 2_200)  # nearly as many parameters as a request may have
REQUESTS = {
    "measure: an ordinary request": (of_records, Site.measure_request),
    "measure: many views": (of_records, many_views),
    "measure: many marginals": (of_records, lambda site: pairs(site, 2_000)),
    "measure: histories": (of_histories, all_kinds),
    "measure: a secure sum": (of_a_sum, summed(lambda site: pairs(site, 2_000))),
    "discriminate: one person": (
        lambda rows: of_one_person(rows, (10_000,)),
        discriminating,
    ),
    "discriminate: records": (of_large((64,)), discriminating),
    "discriminate: records of a secure sum": (of_gradients((64,)), summed_gradients),
}
LARGEST = {
    "measure: the most counts": (of_wide_columns, widest),
    "measure: the most counts of a secure sum": (of_the_widest_sum, summed(widest)),
    "discriminate: the widest network": (of_large(WIDE), discriminating),
    "discriminate: the widest network, a person of many rows": (
        lambda rows: of_one_person(rows, WIDE, per_person=5),
        discriminating,
    ),
    "discriminate: the widest network of a secure sum": (of_gradients(WIDE), summed_gradients),
    "discriminate: the largest network of two layers": (of_large(DEEP), discriminating),
    "discriminate: two layers, a person of many rows": (
        lambda rows: of_one_person(min(rows, 3), DEEP, per_person=3),
        discriminating,
    ),
}


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
    # arrays get pages of their own and give them back: what was freed before would hide a growth
    at_once = dict.fromkeys(("MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_"), str(64 << 10))
    environment = os.environ | at_once | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return {(name, rows): (status, peak) for name, rows, status, peak in json.loads(done.stdout)}


def parent(names, tables, limit):
    for name in names:  # so that libraries are loaded and the request's price is known
        one(name, tables[0], None)
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
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(0)


def one(name, rows, limit):
    site_of, request_of = (REQUESTS | LARGEST)[name]
    site = site_of(rows)
    method, body = name.partition(":")[0], request_of(site).SerializeToString()
    if limit:
        resource.setrlimit(resource.RLIMIT_AS, (virtual_size() + limit,) * 2)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak of making the records
    before = kilobytes("VmRSS")
    reply = site.vault.call(method, body)
    grown = kilobytes("VmHWM") - before
    kind = pb.MeasureReply if method == "measure" else pb.DiscriminateReply
    return [kind.FromString(reply).status, 1024 * grown]


def kilobytes(what):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{what}:"))


def virtual_size():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


@pytest.mark.parametrize(
    ("kind", "tables", "allowed"),
    [
        ("measure", TABLES, LITTLE_NOISE),
        ("discriminate: one person", PERSON, NOISE + 8 * _VALUES + SAMPLED_BYTES * PERSON[-1]),
        ("discriminate: records", TABLES, NOISE + SAMPLED_BYTES * TABLES[-1]),
    ],
)
def test_the_peak_of_a_request_is_the_same_for_any_number_of_records(kind, tables, allowed):
    names = [name for name in REQUESTS if name.startswith(kind)]
    found = measured(names, tables)
    assert {status for status, _ in found.values()} == {"OK"}
    for name in names:
        peaks = [found[name, rows][1] for rows in tables]
        assert max(peaks) - min(peaks) < allowed, found


def test_persons_of_very_different_rows_take_no_more_than_is_set_aside_for_them():
    """The largest tensor: one person of 77 rows and 75 of one each, in one piece."""
    order = np.tile(np.arange(3), (152, 1))
    network = Discriminator(sum(WIDTHS), (10_000,)).double()
    rows = RowGradients(network, make_records(152).codes, order, 3, WIDTHS)
    persons = UnitGradients(rows, np.maximum(0, np.arange(152) - 76), 76)
    with torch.no_grad(), profile(profile_memory=True) as watched:
        persons.squared_norms()
    assert max(event.cpu_memory_usage for event in watched.events()) <= 8 * _VALUES


def test_a_limit_of_memory_does_not_tell_how_many_records_there_are():
    """The red team's request, as far as it is still allowed, under a limit that it fits into."""
    found = measured(["measure: many marginals"], TABLES, limit=256 << 20)
    assert {status for status, _ in found.values()} == {"OK"}


def test_a_limit_of_memory_does_not_tell_how_many_rows_a_person_has():
    """Under a limit that leaves what every vault proves to have when it starts."""
    found = measured(["discriminate: one person"], PERSON, limit=LARGEST_REQUEST_BYTES)
    assert {status for status, _ in found.values()} == {"OK"}


def proven(size, limit=None):
    """Whether a process of its own finds the memory, and the most that it or its child took."""
    code = (
        "import json, resource, sys; sys.path[:0] = ['tests', 'tests/privacy']\n"
        "from fedsynth_client.vault.memory import prove_memory\n"
        "from fedsynth_common.errors import FedsynthError\n"
        f"if {limit!r}: resource.setrlimit(resource.RLIMIT_AS, ({limit!r}, {limit!r}))\n"
        "try: prove_memory(int(sys.argv[1])); told = ''\n"
        "except FedsynthError as error: told = str(error)\n"
        "taken = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n"
        "print(json.dumps([told, 1024 * taken]))\n"
    )
    command = [sys.executable, "-c", code, str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_memory_is_really_taken_before_a_vault_serves():
    told, taken = proven(300 << 20)
    assert told == ""
    assert taken > 300 << 20


def test_a_vault_that_lacks_memory_says_how_much_it_needs():
    told, _ = proven(900 << 20, limit=800 << 20)
    assert "this vault needs 900 MiB for requests" in told


@pytest.mark.parametrize("hidden", [(64,), WIDE])
def test_a_record_that_is_drawn_takes_no_more_memory_than_is_set_aside(hidden):
    """Also where networks are so large that every row is a piece of its own."""
    rows, site = 200_000, of_large(hidden)(1)
    order = assignment_of(discriminating(site), site.plan, site.schema)
    trainer = Trainer(order, Randomness())
    records = Records(np.zeros((rows, len(WIDTHS)), np.uint16))
    tracemalloc.start()
    try:
        assert sum(len(piece.rows) for piece in trainer._pieces(records)) == rows
        assert tracemalloc.get_traced_memory()[1] < SAMPLED_BYTES * rows
    finally:
        tracemalloc.stop()


def test_what_must_be_free_grows_with_the_records_that_can_be_drawn():
    assert memory_needed(10**6, 5) == LARGEST_REQUEST_BYTES + 5 + 80 * 10**6


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_request_stays_below_what_is_announced(name):
    rows = 5 if "person" in name else 3  # none beyond what the schema allows one person
    status, peak = measured([name], [rows])[name, rows]
    assert status == "OK"
    assert peak < LARGEST_REQUEST_BYTES - ACCOUNTANT_BYTES


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


def varint(number):
    low = number & 127
    return bytes([low | 128]) + varint(number >> 7) if number > 127 else bytes([low])


@pytest.mark.parametrize("method", REQUEST_BYTES)
def test_a_request_beyond_its_length_is_not_even_parsed(method):
    site = Site().enrolled()
    # a field that nobody knows is skipped by whoever parses it, so only the length is at fault
    size = REQUEST_BYTES[method]
    long, short = (b"\x7a" + varint(n) + bytes(n) for n in (size, 10))
    assert b"ERR_PAYLOAD" in site.vault.call(method, long)
    assert b"ERR_PAYLOAD" not in site.vault.call(method, short)
    assert site.ledger.head()[0] == 0


def test_a_plan_with_huge_networks_is_refused_before_a_request_is_made():
    with pytest.raises(ValueError, match="parameters"):
        make_plan(training={"hidden": (3_000, 3_000)})
