"""Durable files: whole or not at all, with the permissions that were asked for."""

import os
import stat

import pytest

from fedsynth_common import durable
from fedsynth_common.durable import write_durably


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o640])
def test_a_file_is_replaced_with_its_permissions(tmp_path, mode):
    path = tmp_path / "f"
    for content in (b"one", b"two and more", b""):
        write_durably(path, content, mode)
        assert path.read_bytes() == content
        assert mode_of(path) == mode
    assert os.listdir(tmp_path) == ["f"]


def test_without_a_mode_the_umask_decides(tmp_path):
    before = os.umask(0o027)
    try:
        write_durably(tmp_path / "f", b"x")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "f") == 0o640


def test_a_closed_file_is_never_open_to_others(tmp_path, monkeypatch):
    """Not even for the moment in which it is written."""
    seen = []
    real = os.fsync
    monkeypatch.setattr(
        durable.os, "fsync", lambda fd: (seen.append(os.fstat(fd).st_mode & 0o077), real(fd))
    )
    before = os.umask(0)
    try:
        write_durably(tmp_path / "f", b"x", 0o600)
    finally:
        os.umask(before)
    assert seen[0] == 0


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    path = tmp_path / "f"
    write_durably(path, b"old", 0o600)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(
        *((durable.os, "fsync") if step == "fsync" else (type(path), "replace")), fail
    )
    with pytest.raises(OSError, match="No space"):
        write_durably(path, b"new", 0o600)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["f"]


def test_file_then_folder_are_synced(tmp_path, monkeypatch):
    synced = []
    real = os.fsync
    monkeypatch.setattr(
        durable.os,
        "fsync",
        lambda fd: (synced.append(stat.S_ISDIR(os.fstat(fd).st_mode)), real(fd)),
    )
    write_durably(tmp_path / "f", b"x")
    assert synced == [False, True]
