"""`fedsynth benchmark secure-sum`: messages, bytes and seconds beside local noise."""

import json

import pytest
from command import fedsynth


@pytest.mark.slow
@pytest.mark.parametrize("sites", [4, 50])
def test_a_step_takes_two_messages_instead_of_one_and_somewhat_more_bytes(sites):
    ended = fedsynth("benchmark", "secure-sum", "--sites", sites, "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert [step["local_messages"] for step in found["steps"]] == [1, 1]
    assert [step["summed_messages"] for step in found["steps"]] == [2, 2]
    assert found["once_messages"] == 2
    for step in found["steps"]:
        extra = step["summed_bytes"] - step["local_bytes"]
        assert 0 < extra < 0.2 * step["local_bytes"] + 32 * sites
    assert found["mask_seconds"] > 0
    assert found["open_seconds"] > 0
