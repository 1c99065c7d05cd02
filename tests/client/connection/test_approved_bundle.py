"""What a data steward's look into an app bundle finds, and how an honest one is locked in."""

import hashlib
import io
import os
import stat
import struct
import tracemalloc
import zipfile

import pytest
from command import fedsynth
from hostile import FAST, changed_lines
from hypothesis import given

from fedsynth_client.connection.approved_bundle import inspect, install
from fedsynth_common.errors import InputError
from fedsynth_server.superlink.app_bundle import bundle as honest

PROJECT = """
[project]
name = "fedsynth"
version = "0.1.0"
license = { file = "LICENSE" }
dependencies = ["flwr>=1.41.0,<1.42"]
[tool.flwr.app]
publisher = "fedsynth"
[tool.flwr.app.components]
serverapp = "fedsynth_server.app:app"
clientapp = "fedsynth_client.courier:app"
"""


def pack(files, content=None):
    """A bundle of these files; its list of hashes is right unless `content` is given."""
    lines = [f"{n},{hashlib.sha256(d).hexdigest()},{8 * len(d)}" for n, d in files.items()]
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
        archive.writestr(".info/CONTENT", "\n".join(lines) if content is None else content)
    return target.getvalue()


def changed(old="", new="", **more):
    assert old in PROJECT
    project = PROJECT.replace(old, new).encode()
    return pack({"pyproject.toml": project, "LICENSE": b"free", **more})


def test_the_coordinators_bundle_is_accepted():
    found = inspect(honest())
    assert (found.publisher, found.name) == ("fedsynth", "fedsynth")
    assert found.digest == hashlib.sha256(honest()).hexdigest()
    assert set(found.settings) == {"study"}


@pytest.mark.parametrize(
    "name",
    [
        "fedsynth_client/__init__.py",
        "fedsynth_client/courier.py",
        "sitecustomize.py",
        "x.pth",
        "../../.bashrc",
        "/etc/passwd",
        "LICENSE.py",
        "pyproject.toml/x",
        ".info/other",
        "fedsynth_client/",
        "\x1b[2J",
    ],
)
def test_any_other_file_is_refused(name):
    with pytest.raises(InputError, match="carries") as refused:
        inspect(changed(**{name: b""}))
    assert "\x1b" not in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("fedsynth_client.courier:app", "fedsynth_client.vault.service:Vault", "components"),
        ("fedsynth_client.courier:app", "os:system", "components"),
        ("fedsynth_server.app:app", "fedsynth_server.other:app", "components"),
        (
            "[tool.flwr.app.components]",
            '[tool.flwr.app.components]\nagentapp = "a:b"',
            "components",
        ),
        ('publisher = "fedsynth"', 'publisher = "../up"', "publisher"),
        ('publisher = "fedsynth"', 'publisher = "a/b"', "publisher"),
        ('name = "fedsynth"', 'name = ".."', "name"),
        ('version = "0.1.0"', 'version = "0/../1"', "version"),
        ('version = "0.1.0"', "version = 1", "version"),
        ('["flwr>=1.41.0,<1.42"]', '["flwr", "evil"]', "other packages"),
        ('["flwr>=1.41.0,<1.42"]', '["flwr @ file:///tmp/x"]', "other packages"),
        ('["flwr>=1.41.0,<1.42"]', '["flwr-evil"]', "other packages"),
        ("[project]", '[project.scripts]\nx = "a:b"\n[project]', "valid TOML|scripts"),
        ("[tool.flwr.app]", "[tool.uv]\nx = 1\n[tool.flwr.app]", "'uv'"),
        ("[tool.flwr.app]", "[tool.flwr.federations]\nx = 1\n[tool.flwr.app]", "'federations'"),
        ("[project]", "[build-system]\nrequires = []\n[project]", "'build-system'"),
        ("[project]", "[project", "valid TOML"),
    ],
)
def test_any_other_description_is_refused(old, new, reason):
    inspect(changed())  # it is the change that is refused
    with pytest.raises(InputError, match=reason):
        inspect(changed(old, new))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK",
        honest()[:-30],
        pack({}),
        pack({"LICENSE": b""}),
        pack({"pyproject.toml": PROJECT.encode()}, content=""),
        pack({"pyproject.toml": PROJECT.encode()}, content=f"pyproject.toml,{'0' * 64},8"),
        pack({"pyproject.toml": b" " * (1 << 21)}),
    ],
    ids=["empty", "short", "cut", "nothing", "no project", "no hash", "wrong hash", "huge"],
)
def test_what_is_no_sound_bundle_is_refused(data):
    with pytest.raises(InputError, match="bundle: "):
        inspect(data)


def packed(data, kind=zipfile.ZIP_DEFLATED):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", kind) as archive:
        archive.writestr("pyproject.toml", data)
        archive.writestr(".info/CONTENT", f"pyproject.toml,{hashlib.sha256(data).hexdigest()},8")
    return target.getvalue()


@pytest.mark.parametrize("kind", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_damaged_contents_are_one_line(kind):
    data = packed(b"a" * 3000, kind)
    place = data.index(b"pyproject.toml") + len("pyproject.toml") + 10
    with pytest.raises(InputError, match="not a Flower app bundle"):
        inspect(data[:place] + b"\xff" * 8 + data[place + 8 :])


def test_a_name_that_is_no_text_is_refused():
    data = packed(b"").replace(b".info/CONTENT", b".info/\xff\xfeNTENT")
    flagged = data.replace(b"PK\x03\x04\x14\x00\x00\x00", b"PK\x03\x04\x14\x00\x00\x08")
    flagged = flagged.replace(b"\x14\x03\x14\x00\x00\x00", b"\x14\x03\x14\x00\x00\x08")
    with pytest.raises(InputError, match="bundle: "):
        inspect(flagged)


def test_a_size_that_is_a_lie_does_not_fill_the_memory():
    whole = b"\0" * (64 << 20)
    data = packed(whole)
    stated = struct.pack("<I", len(whole))
    tracemalloc.start()
    with pytest.raises(InputError, match="not a Flower app bundle"):
        inspect(data.replace(stated, struct.pack("<I", 100)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


def test_deep_nesting_and_settings_that_are_none_are_refused():
    with pytest.raises(InputError, match="valid TOML"):
        inspect(packed(b"a=" + b"[" * 1000))
    settings = '[tool.flwr.app]\nconfig = ["x"]'
    with pytest.raises(InputError, match="config"):
        inspect(changed("[tool.flwr.app]", settings))
    with pytest.raises(InputError, match="other packages"):
        inspect(changed('["flwr>=1.41.0,<1.42"]', "1"))


@FAST
@given(changed_lines(PROJECT))
def test_a_description_of_any_content(text):
    data = pack({"pyproject.toml": text.encode("utf-8", "replace"), "LICENSE": b"free"})
    try:
        assert inspect(data).name == "fedsynth"
    except InputError as error:
        assert len(str(error)) < 600


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice_is_refused():
    target = io.BytesIO(changed())
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("LICENSE", b"another")
    with pytest.raises(InputError, match="twice"):
        inspect(target.getvalue())


def test_an_installed_bundle_cannot_be_written(tmp_path):
    place = install(honest(), tmp_path / "home")
    assert sorted(os.listdir(place)) == ["LICENSE", "pyproject.toml"]
    assert place.name == inspect(honest()).folder
    for path in (tmp_path / "home", place.parent, place, *place.iterdir()):
        assert not stat.S_IMODE(path.stat().st_mode) & 0o222
    assert install(honest(), tmp_path / "home") == place  # again: nothing changes


def test_a_place_that_holds_something_else_is_refused(tmp_path):
    place = install(honest(), tmp_path / "home")
    place.chmod(0o755)
    (place / "fedsynth_client.py").write_text("")
    with pytest.raises(InputError, match="something else"):
        install(honest(), tmp_path / "home")


def test_the_command_shows_and_installs(tmp_path):
    (tmp_path / "b.fab").write_bytes(honest())
    shown = fedsynth("site", "bundle", tmp_path / "b.fab")
    assert shown.returncode == 0
    assert inspect(honest()).digest in shown.stdout
    assert "not installed" in shown.stdout
    done = fedsynth("site", "bundle", tmp_path / "b.fab", "--install", tmp_path / "home")
    assert done.returncode == 0
    assert "read-only" in done.stdout
    assert fedsynth("site", "bundle", tmp_path / "none.fab").returncode == 2
