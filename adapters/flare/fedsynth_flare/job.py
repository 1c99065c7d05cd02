"""The FLARE job of a study: three small files without code, as `nvflare job submit` takes them.

    python -m fedsynth_flare.job covid --study /srv/studies/covid --sites 3

The job names classes that are installed at the server and at the sites. It ships none, so sites can
and should forbid their FLARE clients to run code that comes with a job (`byoc`).
"""

import argparse
import json
from pathlib import Path

TASKS = ["fedsynth.*"]


def write_job(folder: Path, study: Path, sites: int) -> None:
    """Write the job.

    Args:
        folder: a new folder, whose name becomes the job's.
        study: the study's folder on the FLARE server's computer.
        sites: the fewest clients that the job waits for.

    Raises:
        FileExistsError: the folder is there already.
    """
    folder.mkdir(parents=True)
    parts = {
        "meta.json": {
            "name": folder.name,
            "resource_spec": {},
            "min_clients": sites,
            "deploy_map": {"app": ["@ALL"]},
        },
        "app/config/config_fed_server.json": {
            "format_version": 2,
            "workflows": [
                {
                    "id": "study",
                    "path": "fedsynth_flare.coordinator.StudyController",
                    "args": {"study": str(study.absolute())},
                }
            ],
            "components": [],
        },
        "app/config/config_fed_client.json": {
            "format_version": 2,
            "executors": [
                {
                    "tasks": TASKS,
                    "executor": {"path": "fedsynth_flare.site.VaultExecutor", "args": {}},
                }
            ],
            "components": [],
        },
    }
    for name, content in parts.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    """The command line: see above."""
    parser = argparse.ArgumentParser(description="Write the FLARE job of a study.")
    parser.add_argument("folder", type=Path, help="new folder of the job")
    parser.add_argument("--study", type=Path, required=True, help="the study's folder")
    parser.add_argument("--sites", type=int, required=True, help="clients to wait for")
    given = parser.parse_args()
    try:
        write_job(given.folder, given.study, given.sites)
    except FileExistsError:
        raise SystemExit(f"error: {given.folder}: exists; name a new folder") from None
    print(f"{given.folder}: submit it with the FLARE console, or: nvflare simulator {given.folder}")


if __name__ == "__main__":
    main()
