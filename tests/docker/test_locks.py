"""The lock files agree with constraints.txt and the pyproject.toml files, and installs use them."""

import importlib.metadata
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCKS = {path.stem: path for path in (ROOT / "locks").glob("*.txt")}
MEMBERS = {
    "vault": ("common", "client"),
    "courier": ("client",),
    "coordinator": ("common", "common/release", "server"),
    "analyst": ("common", "common/release"),
    "researcher": ("common", "common/release", "client", "server", "simulations"),
}
UNUSED = {"vault": {"flwr", "starlette", "uvicorn", "anyio"}, "courier": {"opacus"}}
HERE = {"python_version": "3.11", "python_full_version": "3.11.7", "sys_platform": "linux"}
HERE |= {"platform_system": "Linux", "platform_machine": "x86_64", "extra": ""}
HERE |= {"platform_python_implementation": "CPython", "implementation_name": "cpython"}


def entries(text):
    """(requirement, hashes) of each package of a lock file."""
    for line in text.replace("\\\n", " ").splitlines():
        if line and not line.startswith(("#", "--")):
            wanted, *hashes = re.split(r"\s+--hash=", line)
            yield Requirement(wanted), hashes


def versions(text):
    """Name -> version of the packages that are installed on Linux with Python 3.11."""
    return {
        canonicalize_name(wanted.name): Version(next(iter(wanted.specifier)).version)
        for wanted, _ in entries(text)
        if wanted.marker is None or wanted.marker.evaluate(HERE)
    }


TESTED = versions((ROOT / "constraints.txt").read_text())
LOCKED = {name: versions(path.read_text()) for name, path in LOCKS.items()}


def asked(role):
    """What the role's members ask for, besides our own packages and what the role does without."""
    for member in MEMBERS[role]:
        project = tomllib.loads((ROOT / member / "pyproject.toml").read_text())["project"]
        for line in project["dependencies"]:
            wanted = Requirement(line)
            if not wanted.name.startswith("fedsynth") and wanted.name not in UNUSED.get(role, ()):
                yield wanted


def closure(requirements):
    """The names of all installed packages that these requirements lead to, CUDA's aside."""
    seen, open_ = set(), [(wanted, "") for wanted in requirements]
    while open_:
        wanted, extra = open_.pop()
        if wanted.marker and not wanted.marker.evaluate(HERE | {"extra": extra}):
            continue
        name = canonicalize_name(wanted.name)
        for inner in ("", *wanted.extras):
            if (name, inner) not in seen:
                seen.add((name, inner))
                lines = importlib.metadata.requires(name) or []
                open_ += [(Requirement(line), inner) for line in lines]
    accelerators = set(LOCKED["torch"]) - {"torch"}
    return {name for name, _ in seen} - accelerators


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_has_one_version_and_hashes_and_no_index_is_named(name):
    text = LOCKS[name].read_text()
    listed = list(entries(text))
    assert listed
    for wanted, hashes in listed:
        assert re.fullmatch(r"==[\w.]+", str(wanted.specifier)), wanted
        assert wanted.url is None
        assert hashes, wanted
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in hashes), wanted
    options = [line for line in text.splitlines() if line.startswith("-")]
    assert options == ["--only-binary :all:"]
    assert "://" not in text


@pytest.mark.parametrize("name", sorted(set(LOCKS) - {"sbom"}))
def test_versions_are_those_that_the_tests_pass_with(name):
    accelerators = set(LOCKED["torch"]) - {"torch"}
    locked = {n: version for n, version in LOCKED[name].items() if n not in accelerators}
    assert locked == {n: TESTED.get(n) for n in locked}


@pytest.mark.parametrize("role", MEMBERS)
def test_a_role_finds_all_that_it_needs_in_its_locks(role):
    torch = {} if role == "courier" else LOCKED["torch-cpu"]
    locked = LOCKED[role] | torch
    for wanted in asked(role):
        assert locked[canonicalize_name(wanted.name)] in wanted.specifier, wanted
    assert closure(asked(role)) == set(locked)


def test_the_sql_extra_is_locked():
    project = tomllib.loads((ROOT / "client/pyproject.toml").read_text())["project"]
    extra = [Requirement(line) for line in project["optional-dependencies"]["sql"]]
    for wanted in extra:
        assert LOCKED["sql"][canonicalize_name(wanted.name)] in wanted.specifier
    pytest.importorskip("sqlalchemy", reason="the extra fedsynth-client[sql]")
    assert closure(extra) <= set(LOCKED["sql"])


def test_each_process_of_a_site_does_without_what_the_other_needs():
    assert "flwr" not in LOCKED["vault"]
    assert not {"torch", "opacus", "pandas", "pyarrow"} & set(LOCKED["courier"])
    assert all("torch" not in LOCKED[role] for role in MEMBERS)


def test_both_builds_of_pytorch_have_the_version_of_the_constraints():
    assert LOCKED["torch"]["torch"] == LOCKED["torch-cpu"]["torch"] == TESTED["torch"]
    assert list(LOCKED["torch-cpu"]) == ["torch"]


def dockerfile():
    return (ROOT / "docker/Dockerfile").read_text().replace("\\\n", " ")


def test_images_start_from_a_base_that_is_named_by_its_digest():
    text = dockerfile()
    assert re.findall(r"^ARG BASE=(.*)$", text, re.MULTILINE)
    assert re.search(r"^ARG BASE=[\w./:-]+@sha256:[0-9a-f]{64}$", text, re.MULTILINE)
    stages = {"${BASE}"}
    for base, stage in re.findall(r"^FROM (\S+) AS (\S+)$", text, re.MULTILINE):
        assert base in stages, stage
        stages.add(stage)
    assert len(stages) - 1 == text.count("\nFROM ")


def test_images_install_by_hash_and_nginx_by_version():
    script = (ROOT / "docker/install.sh").read_text()
    assert "pip install --require-hashes" in script
    installs = re.findall(r"pip install [^&;\n]*", dockerfile())
    assert installs
    assert all("--no-deps --no-build-isolation" in line for line in installs)
    used = re.findall(r"^RUN \./install\.sh (.*)$", dockerfile(), re.MULTILINE)
    assert used == [
        "locks/build.txt",
        'locks/vault.txt "$TORCH"',
        "locks/courier.txt",
        'locks/coordinator.txt "$TORCH"',
    ]
    (packages,) = re.findall(r"apt-get install ([^&]*)&&", dockerfile())
    names = [word.strip('"') for word in packages.split() if not word.startswith("-")]
    assert {name.split("=")[0] for name in names} == {
        "nginx",
        "nginx-common",
        "libnginx-mod-stream",
    }
    assert all(name.endswith("=$NGINX") for name in names)


@pytest.mark.parametrize("name", ["compose.yml", "compose.site.yml", "compose.coordinator.yml"])
def test_compose_files_name_no_image_but_ours(name):
    text = (ROOT / "docker" / name).read_text()
    for image in re.findall(r"image: (.*)", text):
        assert re.fullmatch(r"\$\{FEDSYNTH_(\w+)_IMAGE:-fedsynth-[a-z]+\}", image)


PAGES = [
    *(f"{folder}/README.md" for folder in ("client", "server", "docker", "locks")),
    "docs/COORDINATOR.md",
    "docs/SITE.md",
]


@pytest.mark.parametrize("page", PAGES)
def test_documented_installs_take_hashes_and_locks_that_exist(page):
    text = (ROOT / page).read_text().replace("\\\n", " ")
    code = "\n".join(re.findall(r"^```\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    for line in re.findall(r"pip (?:install|download) .*", code):
        assert "--require-hashes" in line or "--no-deps --no-build-isolation" in line, line
    for lock in re.findall(r"locks/([\w-]+)\.txt", text):
        assert lock in LOCKS, lock


def test_no_file_of_an_install_names_a_registry():
    files = [*LOCKS.values(), *(ROOT / page for page in PAGES), ROOT / "Makefile"]
    files += [path for path in (ROOT / "docker").glob("*") if path.is_file()]
    files += [
        ROOT / "constraints.txt",
        *(ROOT / member / "pyproject.toml" for member in MEMBERS["coordinator"]),
        ROOT / "pyproject.toml",
    ]
    files += [ROOT / "locks/renew.py"]
    named = re.compile(
        r"pypi\.org|pythonhosted|pytorch\.org|docker\.(io|com)|ghcr\.io|index-url +http"
    )
    assert [path.name for path in files if named.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.slow
def test_the_bill_of_materials_lists_what_the_lock_lists():
    subprocess.run(["make", "sbom"], cwd=ROOT, check=True)
    bill = json.loads((ROOT / "out/sbom/vault.cdx.json").read_text())
    listed = {part["name"]: part for part in bill["components"]}
    every = {
        canonicalize_name(wanted.name): hashes
        for name in ("vault", "torch")
        for wanted, hashes in entries(LOCKS[name].read_text())
    }
    assert set(listed) == set(every)
    for name, hashes in every.items():
        (source,) = listed[name]["externalReferences"]
        assert {f"sha256:{digest['content']}" for digest in source["hashes"]} == set(hashes)
