"""Equal columns and narrow factors are found, told with their share, and not found in noise."""

import json

import numpy as np
import pandas as pd

from fedsynth_common.encoding import rule_violations
from fedsynth_common.schema import Difference, Ratio, Sum
from fedsynth_release.drafting.draft import draft


def table(rows=4000, seed=0):
    rng = np.random.default_rng(seed)
    kind = rng.choice(["day", "stay", "home"], rows)
    score = rng.integers(0, 60, rows)
    come = rng.integers(0, 400, rows)
    net = rng.integers(100, 90_000, rows)
    return pd.DataFrame(
        {
            "score": score,
            "copy": score,
            "kind": kind,
            "come": come,
            "leave": np.where(kind == "day", come, come + rng.integers(1, 30, rows)),
            "net": net,
            "gross": net + (net * rng.uniform(0.07, 0.19, rows)).astype(int),
            "other": rng.integers(0, 60, rows),
        }
    )


def drafted(frame):
    made = draft(frame, "t", None)
    return {rule.name: rule for rule in made.schema.rules}, made


def test_equal_columns_equal_under_a_condition_and_a_factor_are_proposed():
    rules, made = drafted(table())
    same = rules["score is copy"]
    assert (same.minimum, same.maximum, same.when) == (0, 0, None)
    by_kind = rules["come is leave, by kind"]
    assert isinstance(by_kind, Difference)
    assert by_kind.when.values == ("day",)
    factor = rules["gross as a multiple of net"]
    assert isinstance(factor, Ratio)
    assert (factor.minimum, factor.maximum) == (1.0, 1.2)  # outwards, two digits
    assert not any("other" in name for name in rules)
    assert set(rule_violations(table(), made.schema).values()) == {0}


def test_what_nearly_every_row_keeps_is_told_with_its_share_and_not_declared():
    frame = table()
    frame.loc[frame.index[-20:], "copy"] = frame["score"].iloc[-20:] + 1
    rules, made = drafted(frame)
    assert "score is copy" not in rules
    (note,) = (note for note in made.notes if "'score is copy'" in note.text)
    assert "99.5 % of the rows" in note.text
    declared = Difference.model_validate(json.loads(note.text.split("declare it: ")[1]))
    assert declared.maximum == 0


def test_shuffled_columns_and_constants_propose_nothing():
    frame = table()
    rng = np.random.default_rng(1)
    shuffled = frame.apply(lambda column: rng.permutation(column.to_numpy()))
    assert not any(isinstance(r, Difference | Ratio) for r in drafted(shuffled)[0].values())
    constant = frame.assign(score=7, copy=7)
    assert "score is copy" not in drafted(constant)[0]


def test_totals_and_their_parts_are_found_also_with_missing_cells():
    rng = np.random.default_rng(2)
    parts = {name: rng.integers(0, 500, 3000) for name in ("drugs", "stay", "tests", "food")}
    frame = pd.DataFrame(parts)
    frame["small"] = frame["drugs"] + frame["food"]
    frame["all"] = frame["drugs"] + frame["stay"] + frame["tests"]
    frame["stay"] = frame["stay"].where(rng.random(3000) > 0.1)
    rules, made = drafted(frame)
    sums = {rule.total: set(rule.parts) for rule in rules.values() if isinstance(rule, Sum)}
    assert sums["small"] == {"drugs", "food"}
    assert sums["all"] == {"drugs", "stay", "tests"}
    assert set(rule_violations(frame, made.schema).values()) == {0}
    assert not any(isinstance(rule, Sum) for rule in drafted(table())[0].values())
