"""A release as a service: rows in every format, limits, documents, many clients at once."""

import concurrent.futures
import contextlib
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from certificates import certificate
from command import fedsynth
from small_study import make_generator

from fedsynth_release.generator import Generator
from fedsynth_release.serving.formats import FORMATS


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    (folder / "generator").mkdir()
    make_generator().save(folder / "generator")
    (folder / "generator" / "MODEL_CARD.md").write_text("# card\n")
    (folder / "report.html").write_text("<h1>report</h1>")
    return folder


@pytest.fixture(scope="module")
def generator(release):
    return Generator.load(release / "generator")


@contextlib.contextmanager
def serving(release, *options, verify=None):
    """(address, process) of `fedsynth serve` as a user starts it; by HTTPS if there is `verify`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = Path(sys.executable).with_name("fedsynth")
    process = subprocess.Popen(
        [script, "serve", release, "--port", str(port), *options], stdout=subprocess.DEVNULL
    )
    address = f"{'https' if verify else 'http'}://127.0.0.1:{port}"
    try:
        until = time.monotonic() + 120
        while True:
            try:
                httpx.get(f"{address}/health", timeout=5, trust_env=False, verify=verify or True)
                break
            except httpx.HTTPError:
                assert process.poll() is None
                assert time.monotonic() < until
                time.sleep(0.2)
        yield address, process
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture(scope="module")
def client(release):
    with (
        serving(release, "--max-rows", "60000") as (address, _),
        httpx.Client(base_url=address, timeout=120, trust_env=False) as client,
    ):
        yield client


def read(answer, kind):
    if kind == "arrow":
        return pa.ipc.open_stream(answer.content).read_pandas()
    return pd.DataFrame(json.loads(answer.content))


def as_csv(frame):
    return frame.to_csv(index=False, lineterminator="\n").encode()


@pytest.mark.parametrize("kind", sorted(FORMATS))
@pytest.mark.parametrize("rows", [7, 50_003])  # one frame and two
def test_the_rows_are_those_of_sample(client, generator, kind, rows):
    answer = client.get("/rows", params={"rows": rows, "seed": 3, "format": kind})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(FORMATS[kind][0].partition(";")[0])
    assert answer.headers["x-fedsynth-release"] == generator.statement.release_id
    expected = generator.sample(rows, 3)
    if kind == "csv":
        assert answer.content == as_csv(expected)
        return
    found = read(answer, kind)
    assert list(found.columns) == list(expected.columns)
    assert len(found) == rows
    for name in expected.columns:
        same = found[name].astype("object").where(found[name].notna(), None)
        want = expected[name].astype("object").where(expected[name].notna(), None)
        assert [str(one) for one in same] == [str(one) for one in want] or np.allclose(
            pd.to_numeric(found[name]), pd.to_numeric(expected[name]), equal_nan=True
        )


def condition(generator):
    """A condition that some rows of this generator meet, and a column."""
    for column in generator.schema.modelled:
        if column.kind == "categorical":
            return column.name, column.categories[0]
    raise AssertionError


def test_conditions_and_shares_are_those_of_sample(client, generator):
    name, value = condition(generator)
    asked = {"rows": 50, "seed": 1, "where": f"{name}={value}"}
    rows = client.get("/rows", params=asked).json()
    assert {row[name] for row in rows} == {value}
    asked = {"rows": 200, "seed": 1, "rebalance": name, "format": "csv"}
    assert client.get("/rows", params=asked).content == as_csv(
        generator.sample(200, 1, rebalance=name)
    )


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("rows=0", "rows: expected a whole number from 1 to 60000"),
        ("rows=60001", "rows: expected a whole number from 1 to 60000"),
        ("rows=1e3", "rows: expected"),
        ("rows=" + "9" * 5000, "rows: expected"),
        ("rows=1&rows=2", "rows: is given more than once"),
        ("seed=-1", "seed: expected"),
        ("format=xml", "format: expected one of arrow, csv, json"),
        ("row=1", "row: is not known"),
        ("where=nothing%3D1", "nothing"),
        ("where=" + "x" * 3000, "at most 50 conditions of 2000 characters"),
        ("&".join(["where=a%3D1"] * 51), "at most 50 conditions"),
        ("rebalance=nothing", "nothing"),
    ],
)
def test_what_cannot_be_answered_is_named(client, query, said):
    answer = client.get(f"/rows?{query}")
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert not answer.json()["error"].startswith("--")


def test_documents_and_description(client, generator):
    assert client.get("/card").text == "# card\n"
    assert "report" in client.get("/report").text
    assert client.get("/statement").json()["release_id"] == generator.statement.release_id
    assert client.get("/schema").json()["name"] == generator.schema.name
    assert client.get("/health").text == "ok\n"
    page = client.get("/").text
    document = client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    for path in document["paths"]:
        assert client.get(path).status_code == 200
        assert f'href="{path}"' in page
    (rows,) = (
        one for one in document["paths"]["/rows"]["get"]["parameters"] if one["name"] == "rows"
    )
    assert rows["schema"]["maximum"] == 60_000
    assert client.post("/rows").status_code == 405
    assert client.get("/generator/generator.safetensors").status_code == 404


def test_a_folder_that_is_no_release_and_a_port_that_is_taken_are_one_line(tmp_path, release):
    ended = fedsynth("serve", tmp_path)
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)
    with socket.create_server(("127.0.0.1", 0)) as other:
        ended = fedsynth("serve", release, "--port", other.getsockname()[1])
    assert ended.returncode == 2
    assert "cannot listen there" in ended.stderr


def test_https_with_a_certificate_gives_the_same_rows(release, generator, tmp_path):
    public = certificate(tmp_path)
    private = public.with_suffix(".key")
    private.chmod(0o600)
    options = ("--certificate", public, "--key", private)
    with serving(release, *options, verify=str(public)) as (address, _):
        assert address.startswith("https:")
        asked = {"rows": 20, "seed": 3, "format": "csv"}
        answer = httpx.get(f"{address}/rows", params=asked, verify=str(public), trust_env=False)
        assert answer.content == as_csv(generator.sample(20, 3))
        plain = address.replace("https", "http")
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"{plain}/rows", trust_env=False)


def test_a_certificate_that_cannot_be_used_is_named(release, tmp_path):
    one, other = certificate(tmp_path / "one"), certificate(tmp_path / "other")
    key = other.with_suffix(".key")
    for options, said in (
        (("--certificate", one), "give both"),
        (("--certificate", tmp_path / "no", "--key", key), "no such file"),
        (("--certificate", one, "--key", key), "others may read it"),
        (("--certificate", one, "--key", key), "belong together"),
    ):
        key.chmod(0o600 if said == "belong together" else 0o644)
        ended = fedsynth("serve", release, *options)
        assert (ended.returncode, said in ended.stderr) == (2, True), ended.stderr
        assert len(ended.stderr.splitlines()) == 1


# --- many clients -------------------------------------------------------------------------------


@pytest.fixture
def server(release):
    with serving(release) as made:
        yield made


def resident(process):
    """Bytes of memory that a process uses now."""
    text = Path(f"/proc/{process.pid}/status").read_text()
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if "VmRSS" in line)


@pytest.mark.slow
def test_a_hundred_clients_at_once_lose_nothing_and_memory_stays_flat(server, generator):
    address, process = server
    expected = {seed: as_csv(generator.sample(60_000, seed)) for seed in range(5)}

    def ask(number):
        asked = {"rows": 60_000, "seed": number % 5, "format": "csv"}
        answer = httpx.get(f"{address}/rows", params=asked, timeout=500, trust_env=False)
        return answer.status_code == 200 and answer.content == expected[number % 5]

    def all_at_once():
        with concurrent.futures.ThreadPoolExecutor(100) as clients:
            return list(clients.map(ask, range(100)))

    assert all(all_at_once())
    before = resident(process)
    assert all(all_at_once())
    assert resident(process) < before + (64 << 20)


@pytest.mark.slow
def test_a_client_that_leaves_frees_its_place(server):
    """Four places: five clients ask for a million rows and go away; the sixth is answered soon."""
    address, _ = server
    for _ in range(5):
        with httpx.stream("GET", f"{address}/rows?rows=1000000&format=csv", timeout=60) as answer:
            next(answer.iter_bytes())
    begun = time.monotonic()
    assert len(httpx.get(f"{address}/rows?rows=10", timeout=60).json()) == 10
    assert time.monotonic() - begun < 20
