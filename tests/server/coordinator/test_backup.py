"""A coordinator's folder and its study come back elsewhere as they were, and nothing is replaced."""

import sqlite3
import stat

import pytest
from command import fedsynth
from small_invitations import done, hub

from fedsynth_server.coordinator.folder import CoordinatorFolder
from fedsynth_server.study.folder import StudyFolder

__all__ = ["hub"]


def test_all_comes_back_in_another_place(hub, tmp_path):
    made = CoordinatorFolder(hub / "hub")
    with sqlite3.connect(made.database) as database:
        database.execute("CREATE TABLE node (id INTEGER)")
        database.execute("INSERT INTO node VALUES (7)")
    backup, back = tmp_path / "b.tar", tmp_path / "elsewhere"
    said = done("coordinator", "backup", hub / "hub", hub / "flu", "--out", backup)
    assert "1 studies" in said
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    again = fedsynth("coordinator", "backup", hub / "hub", "--out", backup)
    assert (again.returncode, "is not replaced" in again.stderr) == (2, True)
    done("coordinator", "restore", backup, back)
    other = CoordinatorFolder(back / "hub")
    assert other.settings() == made.settings()
    for file in (other.invitation_key, other.secret, other.authority / "ca.key"):
        same = made.path / file.relative_to(other.path)
        assert file.read_bytes() == same.read_bytes()
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with sqlite3.connect(other.database) as database:
        assert database.execute("SELECT id FROM node").fetchall() == [(7,)]
    assert str(hub) not in other.proxy.read_text()
    study = StudyFolder(back / "flu")
    assert study.plan() == StudyFolder(hub / "flu").plan()
    assert study.config().superlink.root_certificate == other.ca
    ended = fedsynth("coordinator", "restore", backup, back)
    assert (ended.returncode, "exists, and is not replaced" in ended.stderr) == (2, True)


def test_a_sites_backup_is_not_a_coordinators(hub, tmp_path):
    file = tmp_path / "b.tar"
    done("coordinator", "backup", hub / "hub", "--out", file)
    ended = fedsynth("site", "restore", file, tmp_path / "site", "--yes")
    assert (ended.returncode, "expected a fedsynth-site-backup-1" in ended.stderr) == (2, True)


@pytest.mark.parametrize("folder", ["flu", "nothing"])
def test_what_is_no_coordinators_folder_is_refused(hub, tmp_path, folder):
    ended = fedsynth("coordinator", "backup", hub / folder, "--out", tmp_path / "b.tar")
    assert (ended.returncode, "coordinator.toml" in ended.stderr) == (2, True)
