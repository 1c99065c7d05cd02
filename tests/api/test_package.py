"""The public names, the time that `import fedsynth` takes, and what it brings along."""

import json
import subprocess
import sys
import time
from importlib import resources

import pytest

import fedsynth

NAMES = [
    "ColumnWarning",
    "Evaluation",
    "FedsynthError",
    "FedsynthWarning",
    "History",
    "InputError",
    "MethodNotice",
    "NotPrivateWarning",
    "PersonsWarning",
    "Plan",
    "Report",
    "Resampler",
    "Result",
    "Schema",
    "Synthesizer",
    "WrongTypeError",
    "__version__",
    "draft",
    "evaluate",
    "fit",
    "load",
    "plan",
]


def test_the_public_names_are_these_and_each_is_there():
    assert fedsynth.__all__ == sorted(NAMES) == dir(fedsynth)
    for name in NAMES:
        assert getattr(fedsynth, name) is not None, name
    with pytest.raises(AttributeError, match="no attribute 'fitt'"):
        fedsynth.fitt  # noqa: B018 - the access is what is tested


def test_each_public_name_says_what_it_is():
    for name in set(NAMES) - {"__version__"}:
        assert len(getattr(fedsynth, name).__doc__) > 40, name


def test_importing_takes_no_time_and_loads_nothing_heavy():
    """At most 0.3 s; the fastest of three, since other programs run on the machine."""
    code = (
        "import sys, time, json; start = time.perf_counter(); import fedsynth; "
        "seconds = time.perf_counter() - start; "
        "print(json.dumps([seconds, [m for m in ('torch', 'pandas', 'flwr', 'pydantic') "
        "if m in sys.modules]]))"
    )
    runs = []
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        runs.append(json.loads(done.stdout))
        time.sleep(0.05)
    assert min(seconds for seconds, _ in runs) < 0.3
    assert runs[0][1] == []


def test_the_package_is_typed():
    assert resources.files("fedsynth").joinpath("py.typed").is_file()


ANALYST = """
import importlib.abc, importlib.machinery, sys, warnings
ABSENT = {"flwr", "ray", "opacus", "fedsynth_server", "fedsynth_client", "fedsynth_simulations"}

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name in ABSENT else found(name, *more)
warnings.simplefilter("ignore")
import pandas as pd
import fedsynth
result = fedsynth.load(sys.argv[1])
rows = result.sample(150, seed=1)
assert len(result.report().html) > 1000
assert result.evaluate(rows, quick=True).sizes.synthetic == 150
assert fedsynth.evaluate(rows, rows, quick=True).notes
assert len(fedsynth.draft(rows).columns) == len(rows.columns)
for call in (fedsynth.fit, fedsynth.plan):
    try:
        call(rows)
    except fedsynth.InputError as error:
        assert "pip install 'fedsynth[simulate]'" in str(error), error
    else:
        raise AssertionError(call)
assert not ABSENT & set(sys.modules)
print("done")
"""


def test_an_analyst_needs_nothing_of_sites_or_studies(result, tmp_path):
    """What `pip install fedsynth` brings is enough to load, draw, judge, report and draft."""
    folder = result.save(tmp_path / "out")
    command = [sys.executable, "-c", ANALYST, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr
