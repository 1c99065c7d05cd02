"""fedsynth in Python: one generator of synthetic records from the tables of several sites.

    import fedsynth

    result = fedsynth.fit(frame, target="died", epsilon=1)  # or {site: frame}, or a path
    rows = result.sample(1000, where="age>=65")

A run on one computer simulates the sites: it says what it protects, and warns about what makes its
result not private. docs/PYTHON.md is the guide. Names are imported when they are first used, so that
`import fedsynth` takes no time.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedsynth.evaluations import Evaluation, evaluate
    from fedsynth.fitting import fit, plan
    from fedsynth.histories import History
    from fedsynth.notices import (
        ColumnWarning,
        FedsynthWarning,
        MethodNotice,
        NotPrivateWarning,
        PersonsWarning,
        WrongTypeError,
    )
    from fedsynth.plans import Plan
    from fedsynth.reports import Report
    from fedsynth.resampling import Resampler
    from fedsynth.result import Result, load
    from fedsynth.schemas import Schema, draft
    from fedsynth.sdv import Synthesizer
    from fedsynth_common.errors import FedsynthError, InputError

__all__ = [
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

_PLACES = {
    "evaluations": ("Evaluation", "evaluate"),
    "fitting": ("fit", "plan"),
    "histories": ("History",),
    "notices": (
        "ColumnWarning",
        "FedsynthWarning",
        "MethodNotice",
        "NotPrivateWarning",
        "PersonsWarning",
        "WrongTypeError",
    ),
    "plans": ("Plan",),
    "reports": ("Report",),
    "resampling": ("Resampler",),
    "result": ("Result", "load"),
    "schemas": ("Schema", "draft"),
    "sdv": ("Synthesizer",),
}
_MODULES = {name: f"fedsynth.{module}" for module, names in _PLACES.items() for name in names}
_MODULES |= dict.fromkeys(("FedsynthError", "InputError"), "fedsynth_common.errors")


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name == "__version__":
        from importlib.metadata import version

        return version("fedsynth-common")
    if name not in _MODULES:
        raise AttributeError(f"module 'fedsynth' has no attribute {name!r}")
    found = getattr(import_module(_MODULES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
