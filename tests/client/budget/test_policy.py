import json

import pytest

from fedsynth_client.budget.policy import Policy
from fedsynth_common.errors import InputError

TOML = """
dataset = "people"
max_epsilon = 3
max_delta = 1e-6
approved_plans = ["{digest}"]
""".format(digest="0" * 64)


def write(tmp_path, text, name="policy.toml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_toml_and_json_give_the_same_policy(tmp_path):
    fields = {
        "dataset": "people",
        "max_epsilon": 3,
        "max_delta": 1e-6,
        "approved_plans": ["0" * 64],
    }
    from_json = Policy.load(write(tmp_path, json.dumps(fields), "policy.json"))
    assert Policy.load(write(tmp_path, TOML)) == from_json
    assert from_json.approves("0" * 64)
    assert not from_json.approves("1" * 64)
    assert from_json.study_limit == 3


def test_a_missing_policy_is_refused_not_defaulted(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        Policy.load(tmp_path / "policy.toml")


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("max_epsilon = inf", "max_epsilon"),
        ("max_epsilon = nan", "max_epsilon"),
        ("max_epsilon = 0", "max_epsilon"),
        ('max_epsilon = "3"', "max_epsilon"),
        ("max_delta = 1.0", "max_delta"),
        ("max_epsilon_per_study = 4", "must not exceed"),
        ("min_noise_multiplier = -1", "min_noise_multiplier"),
        ("max_sampling_rate = 1.5", "max_sampling_rate"),
        ("max_steps = 0", "max_steps"),
        ("max_epsilom = 1", "max_epsilom"),
        ('approved_plans = "all"', "approved_plans"),
        ('approved_plans = ["abc"]', "approved_plans"),
    ],
)
def test_faulty_fields_are_named(tmp_path, line, field):
    kept = [old for old in TOML.splitlines() if old.split(" ")[0] != line.split(" ")[0]]
    with pytest.raises(InputError, match=field):
        Policy.load(write(tmp_path, "\n".join([*kept, line])))


@pytest.mark.parametrize("field", ["dataset", "max_epsilon", "max_delta", "approved_plans"])
def test_no_limit_has_a_silent_default(tmp_path, field):
    kept = [line for line in TOML.splitlines() if not line.startswith(field + " ")]
    with pytest.raises(InputError, match=field):
        Policy.load(write(tmp_path, "\n".join(kept)))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("policy.yaml", b"", "ending in"),
        ("policy.toml", b"dataset = ", "not valid TOML"),
        ("policy.toml", b"\xff\xfe", "not UTF-8"),
        ("policy.json", b"{", "policy"),
    ],
)
def test_unreadable_files_are_refused(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        Policy.load(path)
