"""The folder `previous` in the folder of a refresh: a copy of what it takes from the study before it.

| file | is |
|---|---|
| `generator/` | the generator with its papers, word for word |
| `carried.safetensors` | the noisy counts that the study left |
| `refresh.json` | the half-life that was declared |
"""

import json
import shutil
from pathlib import Path

from fedsynth_common.errors import InputError
from fedsynth_release.generator import Generator
from fedsynth_release.lineage import Lineage, lineage_after
from fedsynth_server.aggregation.carried import CARRIED, Carried
from fedsynth_server.refresh.study import Earlier

PREVIOUS, SETTINGS = "previous", "refresh.json"
GENERATOR = "generator"


def read_study(folder: Path, half_life: float) -> Earlier:
    """The finished study in a folder, as a refresh takes it.

    Raises:
        InputError: it is not finished, or was not about a cohort.
    """
    if not (folder / GENERATOR).is_dir():
        raise InputError(f"{folder}: is not finished; see it with: fedsynth study watch {folder}")
    if not (folder / CARRIED).is_file():
        raise InputError(
            f"{folder}: left no counts to build on; only a study that was planned with --cohort does"
        )
    generator = Generator.load(folder / GENERATOR)
    carried = Carried.load(folder / CARRIED)
    if carried.plan != generator.statement.plan_digest:
        raise InputError(f"{folder / CARRIED}: is of another study than the generator beside it")
    return Earlier(generator, carried, half_life)


def copy_study(folder: Path, target: Path, half_life: float) -> None:
    """Copy what a refresh in `target` needs of the study in `folder`."""
    place = target / PREVIOUS
    place.mkdir(parents=True)
    shutil.copytree(folder / GENERATOR, place / GENERATOR)
    shutil.copyfile(folder / CARRIED, place / CARRIED)
    (place / CARRIED).chmod(0o600)
    (place / SETTINGS).write_text(json.dumps({"half_life": half_life}) + "\n", encoding="utf-8")


def earlier_of(folder: Path) -> tuple[Earlier | None, Lineage | None]:
    """What the study in a folder builds on, and its lineage; None twice if it is no refresh.

    Raises:
        InputError: a file is damaged.
    """
    place = folder / PREVIOUS
    if not place.is_dir():
        return None, None
    try:
        half_life = float(json.loads((place / SETTINGS).read_text())["half_life"])
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(f"{place / SETTINGS}: missing or damaged") from None
    return read_study(place, half_life), lineage_after(place / GENERATOR, half_life)
