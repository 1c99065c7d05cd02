"""The folder that `Result.save` writes and `fedsynth.load` reads.

| file | content |
|---|---|
| `generator/` | the generator with its papers, as every study exports it |
| `report.html` | the report |
| `history.json` | how the training went |
| `fedsynth.json` | the options of the study, and the types of the user's columns |
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedsynth.frame_types import FrameTypes
from fedsynth_common.durable import write_output
from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_STATEMENT_BYTES, read_limited
from fedsynth_release.generator_files import GENERATOR, REPORT
from fedsynth_release.report.history import HISTORY
from fedsynth_release.whole_folder import draft_folder, publish

SETTINGS = "fedsynth.json"
SAVED = (GENERATOR, REPORT, HISTORY, SETTINGS)
"""What is written, and what force=True may replace."""


@dataclass(frozen=True)
class SavedResult:
    """What is written of a result.

    Attributes:
        files: the contents of the generator's folder, by name.
        types: the types of the columns; none of a private result.
        params: the options of the study.
        history: how the training went, as JSON.
    """

    files: Mapping[str, bytes]
    types: FrameTypes
    params: Mapping[str, Any]
    history: str | None

    def write(self, place: Path, report: str) -> None:
        """Write the folder beside its place, and move it there when it is whole.

        Raises:
            InputError: the folder cannot be written.
        """
        with draft_folder(place) as made:
            (made / GENERATOR).mkdir()
            write_files(self.files, made / GENERATOR)
            write_output(made / REPORT, report)
            if self.history is not None:
                write_output(made / HISTORY, self.history)
            settings = {"params": dict(self.params), "types": dict(self.types.types)}
            write_output(made / SETTINGS, json.dumps(settings, indent=1) + "\n")
            publish(made, place, SAVED)


def files_of(folder: Path) -> dict[str, bytes]:
    """The contents of a folder's files, by name."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def write_files(files: Mapping[str, bytes], folder: Path) -> None:
    """Write such files into an existing folder."""
    for name, content in files.items():
        (folder / name).write_bytes(content)


def read_settings(folder: Path) -> tuple[FrameTypes, dict[str, Any]]:
    """Types and options of a saved result; none where another program wrote the folder.

    Raises:
        InputError: the file is damaged.
    """
    path = folder / SETTINGS
    if not path.is_file():
        return FrameTypes(), {}
    try:
        read = json.loads(read_limited(path, MAX_STATEMENT_BYTES))
        types = {str(name): str(kind) for name, kind in read["types"].items()}
        return FrameTypes(types), dict(read["params"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise InputError(f"{path}: damaged; expected what Result.save wrote") from None
