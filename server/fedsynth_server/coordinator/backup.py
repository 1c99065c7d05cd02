"""A coordinator's backup: its folder, the SuperLink's database, and the folders of its studies.

A coordinator that is set back costs no budget: the sites charge themselves, give the stored reply to a
request that they know, and refuse another one for the same step.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from fedsynth_common.archive import Manifest, pack, unpack
from fedsynth_common.durable import write_durably
from fedsynth_common.errors import InputError
from fedsynth_common.sqlite_files import copy_database
from fedsynth_server.coordinator.folder import CoordinatorFolder
from fedsynth_server.study.folder import StudyFolder

KIND = "fedsynth-coordinator-backup-1"
HUB, STUDIES, DATABASE = "hub", "studies", "superlink.db"


def back_up(folder: CoordinatorFolder, studies: Sequence[StudyFolder], out: Path) -> Manifest:
    """Write a backup, whether the coordinator runs or not.

    Raises:
        InputError: a folder is no coordinator's or study's, two studies have one name, a file cannot be
            read, or `out` exists.
    """
    folder.settings()
    names = [study.path.name for study in studies]
    if len(set(names)) < len(names):
        raise InputError("two of the studies' folders have the same name; rename one")
    files: dict[str, Path] = {}
    for study in studies:
        study.plan()
        files |= _below(study.path, f"{STUDIES}/{study.path.name}")
    with tempfile.TemporaryDirectory(dir=folder.path) as scratch:
        hub = _below(folder.path, HUB)
        skipped = (f"{HUB}/state/", f"{HUB}/proxy/", f"{HUB}/{Path(scratch).name}/")
        files |= {name: path for name, path in hub.items() if not name.startswith(skipped)}
        if folder.database.exists():
            files[DATABASE] = Path(scratch) / DATABASE
            copy_database(folder.database, files[DATABASE])
        facts = {"hub": str(folder.path), "name": folder.path.name}
        return pack(out, KIND, facts, files)


def _below(folder: Path, name: str) -> dict[str, Path]:
    """All files below a folder by their names in the backup; no locks and no half-written ones."""
    return {
        f"{name}/{path.relative_to(folder).as_posix()}": path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink() and not path.name.endswith((".lock", ".part"))
    }


def restore(backup: Path, into: Path) -> tuple[Manifest, CoordinatorFolder, list[Path]]:
    """Write the coordinator's folder and those of its studies below `into`.

    Returns:
        What the backup says of itself, the coordinator's folder, and those of the studies.

    Raises:
        InputError: the backup is damaged, or a folder exists.
    """
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into) as scratch:
        taken = Path(scratch)
        manifest = unpack(backup, KIND, taken)
        name = Path(manifest.facts.get("name", HUB)).name or HUB
        hub = CoordinatorFolder(into / name)
        found = sorted((taken / STUDIES).glob("*")) if (taken / STUDIES).exists() else []
        places = {path: into / path.name for path in found} | {taken / HUB: hub.path}
        for place in places.values():
            if place.exists() or len(set(places.values())) < len(places):
                raise InputError(f"{place}: exists, and is not replaced; choose a new folder")
        (taken / HUB / "state").mkdir(mode=0o700)
        if (taken / DATABASE).exists():
            (taken / DATABASE).rename(taken / HUB / "state" / DATABASE)
        for path, place in places.items():
            path.rename(place)
    hub.write_proxy(hub.settings())
    studies = [places[path] for path in found]
    for study in studies:
        _point_to(StudyFolder(study), manifest.facts.get("hub", ""), hub)
    return manifest, hub, studies


def _point_to(study: StudyFolder, old: str, hub: CoordinatorFolder) -> None:
    """Let a study name the authority where it lies now."""
    text = study.config_file.read_text("utf-8")
    if old and old != str(hub.path):
        write_durably(
            study.config_file, text.replace(f'"{old}/certs/', f'"{hub.path}/certs/').encode()
        )
