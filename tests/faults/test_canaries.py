"""No cell of a site's table appears in anything that the vault writes, whatever is wrong with the table.

Every way that a cell can fail has a string that exists nowhere else; afterwards every byte that the
vault wrote or sent is searched for it. The same search over a whole federation is in test_federation.py.
"""

import pytest
from canaries import MARK, broken_tables, canary, found_in, table_with_canaries
from command import fedsynth
from faulty_federation import all_bytes
from small_study import SCHEMA, make_frame
from vault_process import make_site

BROKEN = dict(broken_tables(make_frame(300)))
CLEAN = make_frame(300)


def test_the_search_finds_what_it_should():
    import base64
    import zlib

    word = canary("ward", "unknown").encode()
    for hidden in (
        word,
        zlib.compress(b"x" * 99 + word),
        word.decode().encode("utf-16"),
        word.lower(),
    ):
        assert found_in(b"before " + hidden + b" after")
    assert found_in(base64.b64encode(f"{MARK}-ward".encode()))
    assert found_in(CLEAN.to_csv().encode()) is None
    assert found_in(table_with_canaries(CLEAN).to_csv().encode())
    assert all(found_in(table) for table in BROKEN.values())


def searched(folder):
    """Every file that is not the table itself; the first canary in any of them."""
    for path, data in all_bytes(folder, leave_out={folder / "t.csv"}):
        assert found_in(data) is None, path.name


@pytest.mark.slow
@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_table_is_refused_without_quoting_it(launcher, tmp_path, fault):
    site = make_site(tmp_path / "site", launcher, table=BROKEN[fault], schema=SCHEMA)
    site.start(wait=False)
    assert site.wait() in (1, 2)
    last = site.log.read_text()
    assert "Traceback" not in last
    assert "error:" in last
    searched(site.folder)


@pytest.mark.parametrize("fault", BROKEN)
def test_the_check_of_a_broken_table_does_not_quote_it(tmp_path, fault):
    site = make_site(tmp_path / "site", None, table=BROKEN[fault], schema=SCHEMA)
    folder = site.folder
    (folder / "site.toml").write_text(
        "\n".join(
            f'{name} = "{folder / file}"'
            for name, file in (
                *(("data", "t.csv"), ("schema", "schema.json"), ("policy", "policy.toml")),
                *(("ledger", "ledger.db"), ("key", "site.key"), ("socket", "vault.sock")),
            )
        )
    )
    ended = fedsynth("site", "check", "--config", folder / "site.toml")
    assert ended.returncode in (1, 2), ended.stdout
    assert found_in((ended.stdout + ended.stderr).encode()) is None
    searched(folder)
