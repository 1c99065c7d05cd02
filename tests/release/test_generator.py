"""A generator on disk: it comes back as it was, and every kind of damage is one clear error."""

import json
import resource
import struct
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from small_study import SCHEMA, make_generator, make_statement

from fedsynth_common.encoding import encode
from fedsynth_common.errors import InputError
from fedsynth_common.schema import CategoricalColumn, Schema, domains
from fedsynth_release.generator import CHUNK, Generator
from fedsynth_release.generator_network import GeneratorNetwork, GeneratorShape
from fedsynth_release.sampling.latents import cumulative_tables, draw_codes

WEIGHTS = "generator.safetensors"


@pytest.fixture
def folder(tmp_path):
    make_generator().save(tmp_path)
    return tmp_path


def header_of(path):
    """(size of the header, the header) of a safetensors file."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    return size, json.loads(content[8 : 8 + size])


def rewrite(path, *, shape=None, change=None, metadata=None):
    """The same file with another architecture in the header, or other tensors."""
    stated = json.loads(header_of(path)[1]["__metadata__"]["fedsynth"])
    stated["shape"] |= shape or {}
    tensors = load_file(path)
    for name, make in (change or {}).items():
        tensors[name] = make(tensors.get(name)).contiguous()
    save_file(tensors, path, metadata=metadata or {"fedsynth": json.dumps(stated)})


def refused(folder, match=None):
    with pytest.raises(InputError, match=match) as caught:
        Generator.load(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_saved_and_loaded_it_draws_the_same_records(folder):
    fresh, loaded = make_generator(), Generator.load(folder)
    pd.testing.assert_frame_equal(fresh.sample(500, seed=1), loaded.sample(500, seed=1))
    assert loaded.schema == SCHEMA
    assert set(loaded.statement.artefacts) == {WEIGHTS, "schema.json"}
    unsealed = loaded.statement.model_copy(update={"artefacts": {}, "release_id": ""})
    assert unsealed == fresh.statement
    assert not loaded.sample(500, seed=1).equals(loaded.sample(500, seed=2))
    assert not loaded.sample(500).equals(loaded.sample(500))


def test_equal_generators_are_equal_files(tmp_path):
    """safetensors itself writes metadata in an order that differs from save to save."""
    files = set()
    for number in range(6):
        place = tmp_path / str(number)
        place.mkdir()
        make_generator().save(place)
        files.add((place / WEIGHTS).read_bytes())
    assert len(files) == 1


def test_records_fit_the_schema(folder):
    rows = Generator.load(folder).sample(2000, seed=3)
    assert encode(rows, SCHEMA).repairs  # nothing is refused
    assert rows["age"].between(0, 99).all()


def test_a_stream_in_pieces_is_the_sample(folder, monkeypatch):
    generator = Generator.load(folder)
    monkeypatch.setattr("fedsynth_release.generator.CHUNK", 70)
    parts = list(generator.stream(200, seed=4))
    assert [len(part) for part in parts] == [70, 70, 60]
    pd.testing.assert_frame_equal(
        pd.concat(parts, ignore_index=True), generator.sample(200, seed=4)
    )
    assert CHUNK == 50_000


@pytest.mark.parametrize("rows", [0, -1])
def test_a_sample_has_at_least_one_record(folder, rows):
    with pytest.raises(InputError, match="--rows"):
        Generator.load(folder).sample(rows)


def test_a_negative_seed_is_an_input_error(folder):
    with pytest.raises(InputError, match="--seed"):
        Generator.load(folder).sample(1, seed=-1)


# --- damage ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [WEIGHTS, "schema.json", "privacy_statement.json"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    assert name in refused(folder)


def test_a_folder_that_is_none(tmp_path):
    assert "nowhere" in refused(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    refused(tmp_path / "file")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.02, 0.3, 0.9, 0.9999])
def test_truncated_weights(folder, share):
    content = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(content[: int(len(content) * share)])
    assert WEIGHTS in refused(folder, "damaged")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_flipped_header_bytes_never_escape_as_another_error(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("flip")
    make_generator().save(folder)
    content = bytearray((folder / WEIGHTS).read_bytes())
    (size,) = struct.unpack("<Q", content[:8])
    place = data.draw(st.integers(0, 8 + size - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    (folder / WEIGHTS).write_bytes(content)
    try:
        Generator.load(folder).sample(10, seed=1)
    except InputError as error:
        assert WEIGHTS in str(error)


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "{}", '{"study": 1}', "\x00", '"x"'])
@pytest.mark.parametrize("name", ["schema.json", "privacy_statement.json"])
def test_wrong_json(folder, name, text):
    (folder / name).write_text(text)
    with pytest.raises(InputError, match=name):
        Generator.load(folder)


@pytest.mark.parametrize("name", ["schema.json", "privacy_statement.json"])
def test_json_that_is_not_text(folder, name):
    (folder / name).write_bytes(b"\xff\xfe\x00{")
    assert name in refused(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", ["network.latent", "network.head.bias", "network.hidden.weight"])
def test_weights_that_are_not_finite(folder, name, value):
    def spoil(tensor):
        tensor.view(-1)[0] = value
        return tensor

    rewrite(folder / WEIGHTS, change={name: spoil})
    refused(folder, "damaged")


def test_finite_weights_whose_output_is_not(folder):
    rewrite(folder / WEIGHTS, change={"network.head.weight": lambda t: torch.full_like(t, 3e38)})
    refused(folder, "damaged")


def test_double_precision_that_single_cannot_hold(folder):
    rewrite(folder / WEIGHTS, change={"network.latent": lambda t: t.double() + 1e300})
    refused(folder, "damaged")


@pytest.mark.parametrize(
    "shape",
    [
        {"latents": 65536},
        {"latents": 0},
        {"hidden": 4096, "latent_size": 1024},
        {"widths": [10**9]},
        {"widths": [65536] * 1000},
        {"widths": [-1, 5]},
        {"widths": []},
        {"widths": "many"},
        {"depth": 3},
    ],
)
def test_a_header_with_another_architecture(folder, shape):
    rewrite(folder / WEIGHTS, shape=shape)
    refused(folder, "damaged")


@pytest.mark.parametrize(
    "metadata",
    [
        {"a": "b"},
        {"fedsynth": "null"},
        {"fedsynth": "[]"},
        {"fedsynth": "{}"},
        {"fedsynth": "not JSON"},
        {"fedsynth": '{"format": "fedsynth-generator-0", "shape": {}}'},
        {"fedsynth": "[" * 100_000},
    ],
)
def test_other_metadata(folder, metadata):
    rewrite(folder / WEIGHTS, metadata=metadata)
    refused(folder, "damaged")


@pytest.mark.parametrize(
    "change",
    [
        {"codebook.view.0": lambda t: t + 2**30},
        {"codebook.view.0": lambda t: t - 5},
        {"codebook.view.0": lambda t: t[:-1]},
        {"codebook.view.0": lambda t: t.float()},
        {"codebook.shape.1": lambda t: t * 2},
        {"codebook.shape.1": lambda t: t * float("nan")},
        {"codebook.shape.1": lambda t: -t},
        {"codebook.view.9": lambda t: torch.zeros(3, dtype=torch.int32)},
        {"network.latent": lambda t: t[:5]},
        {"network.latent": lambda t: t.int()},
        {"network.head.bias": lambda t: t.bool()},
        {"network.extra": lambda t: torch.zeros(3)},
    ],
)
def test_tensors_that_do_not_fit(folder, change):
    rewrite(folder / WEIGHTS, change=change)
    refused(folder, WEIGHTS)


def test_files_of_another_study_are_found_by_their_digest(folder):
    """Sound in themselves, but not what the statement is about."""
    rewrite(folder / WEIGHTS, change={"network.head.bias": lambda t: t + 0.25})
    assert WEIGHTS in refused(folder, "SHA-256")
    make_generator().save(folder)
    SCHEMA.model_copy(update={"name": "another"}).save(folder / "schema.json")
    assert "schema.json" in refused(folder, "SHA-256")


def test_a_statement_without_digests_is_refused(folder):
    (folder / "privacy_statement.json").write_text(make_statement().to_json())
    refused(folder, "SHA-256")


def test_weights_of_another_schema(folder):
    other = Schema(name="x", columns=(CategoricalColumn(name="a", categories=("x", "y")),))
    other.save(folder / "schema.json")
    refused(folder, WEIGHTS)


def test_a_hostile_header_takes_no_memory(folder):
    """2 GiB of address space above what the libraries map: enough to load, not to allocate."""
    rewrite(folder / WEIGHTS, shape={"hidden": 4096, "latent_size": 1024, "widths": [60000] * 17})
    code = (
        "import resource, sys\n"
        "from fedsynth_release.generator import Generator\n"
        "from fedsynth_common.errors import InputError\n"
        "import numpy as np\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    Generator.load(sys.argv[1])\n"
        "except InputError as error:\n    print('refused')\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    verdict, grown = run.stdout.split()
    assert verdict == "refused"
    assert int(grown) < 300_000  # KiB


def test_a_file_too_large_to_be_a_generator_is_not_read(folder):
    with (folder / WEIGHTS).open("r+b") as file:
        file.truncate(3 << 30)  # sparse: takes no disk
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(folder, "MiB")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000


def test_an_architecture_beyond_memory_cannot_be_made():
    with pytest.raises(ValueError, match="fewer latents"):
        GeneratorShape(widths=(2000,), latents=65536)


# --- sampling ----------------------------------------------------------------------------------


def test_codes_follow_the_generators_own_probabilities():
    network = make_generator(latents=4).network
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3.0)
        expected = network.soft_rows().mean(0).double().numpy()
    codes = draw_codes(cumulative_tables(network), 40_000, np.random.default_rng(0))
    starts = np.cumsum((0, *network.shape.widths))
    for column, (start, end) in enumerate(zip(starts, starts[1:], strict=False)):
        found = np.bincount(codes[:, column], minlength=end - start) / len(codes)
        spread = np.sqrt(expected[start:end] / len(codes))
        assert (np.abs(found - expected[start:end]) <= 5 * spread + 1e-4).all()


def test_dependence_runs_through_the_latent():
    """Two latents, each sure of its codes: only the two combinations occur."""
    network = GeneratorNetwork(GeneratorShape(widths=(2, 2), latents=2, latent_size=2, hidden=1))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
        network.latent.copy_(50 * torch.eye(2))
        network.head.weight[:, 1:] = torch.tensor([[1.0, 0], [0, 1], [1, 0], [0, 1]])
    codes = draw_codes(cumulative_tables(network), 1000, np.random.default_rng(0))
    assert (codes[:, 0] == codes[:, 1]).all()
    assert 0.4 < codes[:, 0].mean() < 0.6


def test_every_code_of_every_column_is_in_range():
    schema = Schema(
        name="one", columns=(CategoricalColumn(name="c", categories=("only",), other=False),)
    )
    generator = make_generator(schema)
    assert [domain.width for domain in domains(schema)] == [1]
    assert set(generator.sample(100, seed=1)["c"]) == {"only"}
