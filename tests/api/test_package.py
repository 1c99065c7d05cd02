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
