"""What `make dist` writes: complete, licensed, typed, hashed, and all of one version."""

import hashlib
import re
import subprocess
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import make_dist
import pytest
import versions

ROOT = Path(__file__).parents[2]
NAMES = (
    "fedsynth",
    "fedsynth_client",
    "fedsynth_common",
    "fedsynth_flare",
    "fedsynth_release",
    "fedsynth_server",
    "fedsynth_simulations",
)


def package_folder(name):
    """Where the sources of a distribution's package stand."""
    (found,) = (
        package
        for member in versions.MEMBERS
        for package in make_dist.packages(ROOT / member)
        if package.name == name
    )
    return found


def tracked(folder):
    """The files below a folder that the repository keeps, as paths beside the package."""
    listed = subprocess.run(
        ["git", "ls-files", folder], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return {
        str((ROOT / line).relative_to(folder.parent))
        for line in listed.stdout.splitlines()
        if (ROOT / line).exists()
    }


def metadata(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        return Parser().parsestr(archive.read(name).decode())


@pytest.mark.parametrize("name", NAMES)
def test_a_wheel_holds_every_file_of_its_package_and_nothing_else(built, name):
    wheel = built / f"wheels/{name}-{versions.version()}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        held = {one for one in archive.namelist() if ".dist-info/" not in one}
        (licence,) = (one for one in archive.namelist() if one.endswith("licenses/LICENSE"))
        assert archive.read(licence) == (ROOT / "LICENSE").read_bytes()
    assert held == tracked(package_folder(name))
    assert f"{name}/py.typed" in held


@pytest.mark.parametrize("name", NAMES)
def test_an_sdist_holds_what_its_wheel_is_built_from(built, name):
    version = versions.version()
    with tarfile.open(built / f"sdists/{name}-{version}.tar.gz") as archive:
        held = {one.removeprefix(f"{name}-{version}/") for one in archive.getnames()}
    wanted = {"LICENSE", "README.md", "pyproject.toml"}
    assert wanted | tracked(package_folder(name)) <= held
    assert not [one for one in held if one.startswith("tests") or "__pycache__" in one]


@pytest.mark.parametrize("name", NAMES)
def test_metadata_name_licence_version_and_exact_members(built, name):
    said = metadata(built / f"wheels/{name}-{versions.version()}-py3-none-any.whl")
    assert said["License-Expression"] == "Apache-2.0"
    assert said["License-File"] == "LICENSE"
    assert said["Version"] == versions.version()
    ours = [one for one in said.get_all("Requires-Dist") or [] if one.startswith("fedsynth-")]
    assert all(re.search(rf"=={re.escape(versions.version())}( |;|$)", one) for one in ours)


def test_every_file_has_its_hash_and_locks_are_there(built):
    lines = (built / "SHA256SUMS").read_text().splitlines()
    hashes = {name: digest for digest, name in (line.split("  ") for line in lines)}
    files = {str(p.relative_to(built)): p for p in built.rglob("*") if p.is_file()}
    del files["SHA256SUMS"]
    assert {name: hashlib.sha256(p.read_bytes()).hexdigest() for name, p in files.items()} == hashes
    locks = {path.name for path in (ROOT / "locks").glob("*.txt")}
    assert locks == {path.name for path in (built / "locks").glob("*.txt")}
    assert len([name for name in hashes if name.endswith((".whl", ".tar.gz"))]) == 2 * len(NAMES)


@pytest.mark.slow
def test_the_same_sources_give_the_same_wheels(built, tmp_path):
    again = tmp_path / "again"
    script = ROOT / "distribution/make_dist.py"
    subprocess.run([make_dist.sys.executable, script, "--out", again], check=True)
    for wheel in (built / "wheels").iterdir():
        assert wheel.read_bytes() == (again / "wheels" / wheel.name).read_bytes(), wheel.name


def test_a_folder_that_holds_something_else_is_not_emptied(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    script = ROOT / "distribution/make_dist.py"
    done = subprocess.run(
        [make_dist.sys.executable, script, "--out", tmp_path], capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "holds something else" in done.stderr
    assert (tmp_path / "thesis.txt").exists()


def test_a_package_without_types_is_not_built(tmp_path):
    for name in make_dist.FILES:
        (tmp_path / "member").mkdir(exist_ok=True)
        (tmp_path / "member" / name).write_text("")
    (tmp_path / "member/fedsynth_x").mkdir()
    (tmp_path / "member/fedsynth_x/__init__.py").write_text("")
    with pytest.raises(SystemExit, match=r"has no py\.typed"):
        make_dist.stage(tmp_path / "member", tmp_path / "staged")


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """The pyproject.toml files alone, which a test may change."""
    for member in versions.MEMBERS:
        place = tmp_path / member / "pyproject.toml"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text((ROOT / member / "pyproject.toml").read_text())
    monkeypatch.setattr(versions, "ROOT", tmp_path)
    return tmp_path


def test_all_distributions_have_the_version_of_the_top():
    assert versions.differences() == []


def test_a_member_with_another_version_is_noticed(copied):
    path = copied / "server/pyproject.toml"
    path.write_text(path.read_text().replace("fedsynth-release==", "fedsynth-release==9."))
    assert versions.differences() == [
        f"server/pyproject.toml: names 9.{versions.version()}, and the version is "
        f"{versions.version()}"
    ]


def test_a_new_version_is_written_everywhere(copied):
    old = versions.version()
    versions.write("7.1.2rc1")
    assert versions.version() == "7.1.2rc1"
    assert versions.differences() == []
    texts = [(copied / member / "pyproject.toml").read_text() for member in versions.MEMBERS]
    assert not any(f'"{old}"' in text or f'=={old}"' in text for text in texts)
    assert sum(text.count("==7.1.2rc1") for text in texts) > 10


@pytest.mark.parametrize("wrong", ["1.2", "v1.2.3", "1.2.3.dev", '1.2.3"'])
def test_a_version_of_another_form_is_refused(copied, wrong):
    with pytest.raises(SystemExit, match="is no version"):
        versions.write(wrong)
