"""App bundles: the one without code, and one that a hostile coordinator would ship."""

from flwr.cli.build import build_fab_from_files

PROJECT = """
[project]
name = "{name}"
version = "{version}"
description = "no code: both components are installed where they run"
license = {{ file = "LICENSE" }}
dependencies = ["flwr>=1.41.0,<1.42"]

[tool.flwr.app]
publisher = "{publisher}"
fab-format-version = 1
flwr-version-target = "1.41.0"
{include}

[tool.flwr.app.components]
serverapp = "{serverapp}"
clientapp = "{clientapp}"

[tool.flwr.app.config]
{config}
"""


def bundle(files: dict[str, bytes] | None = None, **changes: str) -> bytes:
    """A bundle like the coordinator's, with more files or other words where a test asks for it."""
    words = {
        "name": "study",
        "version": "0.1.0",
        "publisher": "fedsynth",
        "serverapp": "fedsynth_server.app:app",
        "clientapp": "fedsynth_client.courier:app",
        "include": "",
        "config": "",
    }
    project = PROJECT.format(**(words | changes)).encode()
    made, _ = build_fab_from_files(
        {"pyproject.toml": project, "LICENSE": b"Apache 2.0\n", **(files or {})}
    )
    return made
