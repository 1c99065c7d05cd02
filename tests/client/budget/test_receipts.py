import json

import pytest
from cryptography.exceptions import InvalidSignature

from fedsynth_client.budget.receipts import load_or_create_key, new_key, receipt_json
from fedsynth_common.errors import InputError
from fedsynth_common.privacy.events import GaussianEvent
from fedsynth_common.protocol.receipt import Receipt


def receipt():
    return receipt_json(
        study="s",
        plan_digest="d",
        dataset="people",
        events=[GaussianEvent(noise_multiplier=2.0)],
        head="h",
        seeded=False,
    )


def test_a_signed_receipt_verifies_and_reads_back():
    key, body = new_key(), receipt()
    signed = Receipt.opened(body, key.sign(body), key.public_key().public_bytes_raw())
    assert signed.to_json() == body
    fields = signed.model_dump(mode="json")
    assert fields["events"] == [{"kind": "gaussian", "noise_multiplier": 2.0}]
    assert json.loads(body)["ledger"] == {"head": "h"}
    assert fields["seeded"] is False


def test_a_receipt_of_an_older_version_still_verifies():
    """Format 1 told the number of entries."""
    fields = json.loads(receipt()) | {"format_version": 1, "ledger": {"seq": 28, "head": "h"}}
    body = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
    key = new_key()
    signed = Receipt.opened(body, key.sign(body), key.public_key().public_bytes_raw())
    assert signed.to_json() == body
    assert signed.facts["ledger_entries"] == 28


def test_the_bytes_are_canonical_json():
    body = receipt()
    again = json.dumps(json.loads(body), sort_keys=True, separators=(",", ":")).encode()
    assert body == again == receipt()


def test_a_changed_receipt_or_another_key_is_found_out():
    key, body = new_key(), receipt()
    public = key.public_key().public_bytes_raw()
    with pytest.raises(InvalidSignature):
        Receipt.opened(body.replace(b"2.0", b"9.0"), key.sign(body), public)
    with pytest.raises(InvalidSignature):
        Receipt.opened(body, new_key().sign(body), public)


def test_the_sites_key_is_kept_and_private(tmp_path):
    path = tmp_path / "site.key"
    first = load_or_create_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_or_create_key(path).private_bytes_raw() == first.private_bytes_raw()


def test_a_file_that_is_no_key_is_refused(tmp_path):
    path = tmp_path / "site.key"
    path.write_bytes(b"short")
    with pytest.raises(InputError, match="32 raw bytes"):
        load_or_create_key(path)
