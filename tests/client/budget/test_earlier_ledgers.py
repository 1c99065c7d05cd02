"""Ledgers as earlier versions wrote them, in the middle of a study, open or are refused in clear words.

`earlier/` holds what the code of two earlier commits wrote: 794d4e2, whose ledger kept replies without
their hash, and c62606f, whose ledger had no commitments. In each, step 2 of the study was charged.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from small_site import Site, make_plan, make_policy, run

from fedsynth_client.budget.ledger import Ledger
from fedsynth_client.budget.spending import OLDER, read_ledger, spending
from fedsynth_common.errors import ErrorCode, RefusalError

EARLIER = Path(__file__).parent / "earlier"


@pytest.fixture
def put(tmp_path):
    """Puts a ledger of an earlier version, with its witness, into a folder."""

    def made(name):
        path = tmp_path / "ledger.db"
        with closing(sqlite3.connect(path)) as database:
            database.executescript((EARLIER / f"{name}.sql").read_text())
        witness = (EARLIER / f"{name}.witness").read_bytes()
        (tmp_path / "ledger.db.witness").write_bytes(witness)
        return path

    return made


def rows_of(path):
    with closing(sqlite3.connect(path)) as database:
        return [database.execute(f"SELECT * FROM {t}").fetchall() for t in ("charges", "outbox")]  # noqa: S608


def test_a_ledger_whose_replies_have_no_hash_is_refused_and_keeps_its_charges(put):
    path = put("without_seals")
    before = rows_of(path)
    state = read_ledger(path, "people")
    assert state.fault == OLDER
    assert "finish its studies with that version" in state.fault
    with pytest.raises(RefusalError, match=ErrorCode.LEDGER.value):
        Ledger(path, "people")
    assert read_ledger(path, "people").fault == OLDER
    assert rows_of(path) == before


def test_a_ledger_without_commitments_opens_and_its_study_is_refused_in_words(put, caplog):
    """Its charges count. Nobody can price its plan any more, so no other study fits beside it."""
    caplog.set_level("INFO")
    path = put("without_commitments")
    state = read_ledger(path, "people")
    assert not state.fault
    spent = spending(state.charges, make_policy()).spent
    assert spent > 0
    with closing(sqlite3.connect(path)) as database:
        ((digest,),) = database.execute("SELECT digest FROM studies")
    site = Site(ledger=Ledger(path, "people"), plan=make_plan(study="later"))
    assert [charge.step for charge in site.ledger.charged()] == [2]
    said = run(site, "measure", plan_digest=bytes.fromhex(digest))
    assert said.status == ErrorCode.VERSION.value
    assert "finish the study with that version" in caplog.text
    assert site.enroll() == ErrorCode.BUDGET.value
    site.ledger.close()
    again = read_ledger(path, "people")
    assert not again.fault
    assert spending(again.charges, make_policy()).spent == spent
