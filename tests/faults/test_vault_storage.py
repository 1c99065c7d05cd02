"""The site's disk fails under a running vault: full, unsynced, read-only, too little memory.

Whatever happens: a refusal is a code, a request that was refused before its charge can be repeated, one
that was charged is spent, and the ledger is sound when the disk is.
"""

import os
import resource
import subprocess

import pytest
from tracing import injected, needs_strace
from vault_process import make_site

pytestmark = pytest.mark.slow
KIB = 1024


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("cannot mount a small file system here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder, left):
    """Leave `left` bytes free."""
    filler = folder / "filler"
    filler.unlink(missing_ok=True)
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    filler.write_bytes(bytes(max(0, free - left)))


def repeated_after(site, request, status):
    """What the same request gets once the disk is well again, as the books demand."""
    charged = ("study", request.step) in site.check_books()
    stored = ("study", request.step) in site.outbox()
    assert stored or status != "OK"
    again = site.status("discriminate", request)
    assert again == ("ERR_SPENT" if charged and not stored else "OK")
    return "stored" if stored else "charged" if charged else "refused"


def test_a_full_disk_refuses_and_recovers(small_disk, launcher, tmp_path):
    site = make_site(tmp_path / "north", launcher, state=small_disk).start()
    site.enroll()
    ends = []
    for step, left in enumerate(range(0, 88 * KIB, 4 * KIB), start=3):
        request = site.requests.discriminate_request(step)
        fill(small_disk, left)
        status = site.status("discriminate", request)
        assert status in ("OK", "ERR_LEDGER")
        (small_disk / "filler").unlink()
        ends.append(repeated_after(site, request, status))
        if step % 5 == 0:
            site.kill()
            site.start()
    assert {"refused", "stored"} <= set(ends)
    site.kill()
    site.start()
    site.check_books()
    site.end()


def test_a_vault_does_not_start_on_a_full_or_read_only_disk(small_disk, launcher, tmp_path):
    site = make_site(tmp_path / "north", launcher, state=small_disk).start()
    site.enroll()
    assert site.status("discriminate", site.requests.discriminate_request()) == "OK"
    site.kill()
    for spoil, heal in (
        (lambda: fill(small_disk, 0), lambda: (small_disk / "filler").unlink()),
        (lambda: remount(small_disk, "ro"), lambda: remount(small_disk, "rw")),
    ):
        spoil()
        site.start(wait=False)
        assert site.wait() == 1
        last = site.log.read_text().splitlines()[-1]
        assert "ERR_LEDGER" in last
        assert "the disk is full or read-only" in last
        heal()
    site.start()
    assert site.status("discriminate", site.requests.discriminate_request()) == "OK"
    site.end()


def remount(folder, mode):
    subprocess.run(["mount", "-o", f"remount,{mode}", str(folder)], check=True)


FAILING = {
    "fsync fails": ("fsync,fdatasync", "EIO"),
    "disk full": ("pwrite64,write,fallocate,ftruncate", "ENOSPC"),
    "read-only": ("pwrite64,ftruncate,rename", "EROFS"),
    "input/output error": ("pwrite64,fsync,fdatasync,rename", "EIO"),
}


@needs_strace
@pytest.mark.parametrize("failing", FAILING)
def test_a_failing_call_is_a_refusal_and_releases_nothing(site, failing):
    """All calls fail, then the first alone, the second alone...: the vault goes on when they work."""
    calls, error = FAILING[failing]
    ends = []
    site.start()
    site.enroll()
    for step, when in enumerate(("1+", "1", "2", "3", "4", "5"), start=3):
        request = site.requests.discriminate_request(step)
        with injected(site.pid, calls, f"error={error}", when):
            status = site.status("discriminate", request)
        assert status in ("OK", "ERR_LEDGER", "dead")  # "dead": the socket itself was hit
        if when == "1+":
            assert status != "OK"
            assert site.released == {}
        if step % 2:
            site.kill()
            site.start()
        ends.append(repeated_after(site, request, status))
    assert "refused" in ends
    assert site.status("measure", site.requests.measure_request(1)) == "OK"
    site.check_books()


def test_a_file_size_limit_refuses_and_a_restart_recovers(site):
    """`ulimit -f`, set while the vault runs; also what a quota looks like."""
    site.start()
    site.enroll()
    size = site.ledger.with_name("ledger.db-wal").stat().st_size
    for extra in (0, 4 * KIB, 12 * KIB):
        resource.prlimit(site.pid, resource.RLIMIT_FSIZE, (size + extra,) * 2)
        request = site.requests.discriminate_request(3 + extra // KIB)
        status = site.status("discriminate", request)
        assert status in ("OK", "ERR_LEDGER", "dead")
        site.kill()
        site.start()
        repeated_after(site, request, status)


@pytest.mark.parametrize("megabytes", [0, 8, 64])
def test_out_of_memory_is_a_code_or_a_crash_never_a_release(site, megabytes):
    """`ulimit -v` at what the process has, and a little more."""
    site.start()
    site.enroll()
    limit = virtual_size(site.pid) + megabytes * KIB * KIB
    resource.prlimit(site.pid, resource.RLIMIT_AS, (limit, limit))
    requests = [site.requests.discriminate_request(step) for step in (3, 4, 5)]
    statuses = [site.status("discriminate", request) for request in requests]
    assert set(statuses) <= {"OK", "ERR_INTERNAL", "ERR_LEDGER", "dead"}
    site.kill()
    site.start()
    charged = site.check_books()
    for request in requests:
        key = ("study", request.step)
        again = site.status("discriminate", request)
        if key in site.outbox() and key in charged:
            assert again in ("OK", "ERR_INTERNAL")  # a stored failure is repeated like a result
        else:
            assert again == ("ERR_SPENT" if key in charged else "OK")


def virtual_size(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


@pytest.mark.parametrize("error", ["memory", "quote"])
def test_a_failure_in_the_computation_is_spent_and_says_nothing(site, error):
    site.start({"name": "failing", "error": error})
    site.enroll()
    request = site.requests.measure_request(1)
    for _ in range(2):
        assert site.status("measure", request) == "ERR_INTERNAL"
    assert "CANARY" not in site.log.read_text()
    assert site.check_books() == [("study", 1)]
