"""A coordinator whose study invites two sites, and what is typed there."""

import pytest
from command import fedsynth
from small_site import SCHEMA

SITES = ("north", "south")


def done(*arguments):
    ended = fedsynth(*arguments)
    assert ended.returncode == 0, ended.stderr + ended.stdout
    return ended.stdout


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    """A coordinator with a study of two sites, and a table that fits it."""
    place = tmp_path_factory.mktemp("hub")
    SCHEMA.save(place / "schema.json")
    done("coordinator", "init", place / "hub", "--host", "fed.example.org", "--port", 444)
    begin(place, "flu")
    rows = [
        f"{ward},{smoker},{outcome}"
        for ward in "abc"
        for smoker in ("true", "false")
        for outcome in "wxyz"
    ]
    (place / "t.csv").write_text("\n".join(["ward,smoker,outcome", *(rows * 10)]))
    return place


def begin(place, name, *options):
    sites = [word for site in SITES for word in ("--site", site)]
    return done(
        *("study", "init", place / name, "--schema", place / "schema.json", *sites, *options),
        *("--records-per-site", 200, "--epsilon", 2, "--variant", "marginals"),
        *("--coordinator", place / "hub"),
    )


def join(hub, folder, *options, study="flu", site="north"):
    told = ("--data", hub / "t.csv", "--dataset", "people", "--max-epsilon", 5)
    file = hub / study / "invitations" / f"{site}.invitation"
    return fedsynth("site", "join", file, folder, *(options or told), "--yes")
