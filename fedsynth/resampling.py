"""For scikit-learn and imbalanced-learn: synthetic rows of rare classes, or instead of real rows.

`Resampler` follows imbalanced-learn's manners (`fit_resample`, `sampling_strategy`, `random_state`), so
that it stands in its pipelines, and scikit-learn's (`get_params`, `set_params`, `clone`).
"""

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from fedsynth.fitting import fit
from fedsynth.notices import in_python
from fedsynth.options import Variant, flag, whole, wrong
from fedsynth.result import Result
from fedsynth_common.errors import InputError
from fedsynth_common.limits import MAX_REPAIRED

MOST_CLASSES = 20
"""Of a target: a column with more values is drafted as numbers or texts, not as classes."""
STRATEGIES = ("auto", "not majority", "same")
Strategy = str | float | Mapping[Any, int]


class Resampler(BaseEstimator):  # type: ignore[misc]
    """Adds synthetic rows to a table of features and classes, or replaces the real rows by them.

    Attributes:
        result_: the finished study.
        classes_: the classes, in order.
        sampling_strategy_: how many synthetic rows of each class were drawn.
    """

    def __init__(
        self,
        *,
        sampling_strategy: Strategy = "auto",
        keep_real: bool = True,
        epsilon: float = 1.0,
        sites: int = 1,
        variant: Variant = "auto",
        max_repaired: float = MAX_REPAIRED,
        quick: bool = False,
        random_state: int | None = None,
    ) -> None:
        """Say what is wanted; arguments are checked when `fit` is called.

        Args:
            sampling_strategy: `auto` or `not majority`: every class gets as many rows as the largest;
                a number, for two classes: rows of the rarer over rows of the other; a dict: rows of
                each class in the result; `same`: as many synthetic rows of each class as real ones.
            keep_real: whether the real rows stay and synthetic ones are added to them; otherwise
                all rows of the result are synthetic.
            epsilon: as for `fedsynth.fit`.
            sites: as for `fedsynth.fit`.
            variant: as for `fedsynth.fit`.
            max_repaired: as for `fedsynth.fit`.
            quick: as for `fedsynth.fit`.
            random_state: seed of the drawn rows; the study's noise does not depend on it.
        """
        self.sampling_strategy = sampling_strategy
        self.keep_real = keep_real
        self.epsilon = epsilon
        self.sites = sites
        self.variant = variant
        self.max_repaired = max_repaired
        self.quick = quick
        self.random_state = random_state

    @in_python()
    def fit(self, X: Any, y: Any) -> Self:
        """Learn the table of features `X` and classes `y`.

        Raises:
            InputError: the two do not belong together, or `y` has too many or too few classes.
        """
        self._learn(*_table(X, y))
        return self

    @in_python()
    def fit_resample(self, X: Any, y: Any) -> tuple[Any, Any]:
        """Learn, and return features and classes with synthetic rows below the real ones.

        Returns:
            `X` and `y` as they came: frames as frames, arrays as arrays.

        Raises:
            InputError: as `fit`; or a strategy that asks for fewer rows than there are.
        """
        frame, target = _table(X, y)
        flag("keep_real", self.keep_real)
        whole("random_state", self.random_state, 0, optional=True)
        counts = frame[target].value_counts()
        wanted = _wanted(self.sampling_strategy, counts, keep=self.keep_real)
        result = self._learn(frame, target)
        self.sampling_strategy_ = {label: rows for label, rows in wanted.items() if rows}
        parts = [frame] if self.keep_real else []
        for place, (label, rows) in enumerate(self.sampling_strategy_.items()):
            seed = None if self.random_state is None else self.random_state + place
            parts.append(result.sample(rows, where={target: label}, like=frame, seed=seed))
        mixed = pd.concat(parts, ignore_index=True) if parts else frame.iloc[:0]
        made = mixed[frame.columns].astype({target: frame[target].dtype})
        return _like(made.drop(columns=target), X), _like(made[target], y)

    def _learn(self, frame: pd.DataFrame, target: str) -> Result:
        self.classes_ = np.sort(frame[target].unique())
        if not 2 <= len(self.classes_) <= MOST_CLASSES:
            raise InputError(
                f"y: has {len(self.classes_)} different values; expected 2 to {MOST_CLASSES} classes"
            )
        self.result_ = fit(
            frame,
            target=target,
            epsilon=self.epsilon,
            sites=self.sites,
            variant=self.variant,
            max_repaired=self.max_repaired,
            quick=self.quick,
        )
        return self.result_


def _table(X: Any, y: Any) -> tuple[pd.DataFrame, str]:
    """Features and classes in one table, and the name of the column of classes."""
    if isinstance(X, pd.DataFrame):
        frame = X.set_axis([str(name) for name in X.columns], axis=1).reset_index(drop=True)
    elif isinstance(X, np.ndarray) and X.ndim == 2:
        frame = pd.DataFrame(X, columns=[f"x{k}" for k in range(X.shape[1])])
    else:
        raise wrong("X", "a pandas DataFrame or an array of rows and columns", X)
    if not isinstance(y, pd.Series | np.ndarray | list):
        raise wrong("y", "a pandas Series, an array or a list of classes", y)
    labels = pd.Series(np.asarray(y) if not isinstance(y, pd.Series) else y).reset_index(drop=True)
    if len(labels) != len(frame):
        raise InputError(f"y: has {len(labels)} values for {len(frame)} rows of X")
    if labels.isna().any():
        raise InputError(f"y: {int(labels.isna().sum())} rows have no class; leave them out")
    name = str(labels.name) if labels.name is not None else "class"
    while name in frame:
        name += "_"
    return frame.assign(**{name: labels}), name


def _wanted(strategy: Strategy, counts: "pd.Series[int]", *, keep: bool) -> dict[Any, int]:
    """Synthetic rows of each class.

    Raises:
        InputError: the strategy is none, names another class, or asks for fewer rows than there are.
    """
    there = {label: int(count) for label, count in counts.items()}
    if strategy == "same":
        return there
    if isinstance(strategy, str):
        if strategy not in STRATEGIES:
            listed = ", ".join(map(repr, STRATEGIES))
            raise InputError(
                f"sampling_strategy {strategy!r}: expected {listed}, a share or a dict"
            )
        whole_of = dict.fromkeys(there, max(there.values()))
    elif isinstance(strategy, Mapping):
        if strange := [label for label in strategy if label not in there]:
            raise InputError(f"sampling_strategy: {strange[0]!r} is not a class of y")
        whole_of = (there if keep else {}) | {label: int(n) for label, n in strategy.items()}
    elif isinstance(strategy, int | float) and not isinstance(strategy, bool):
        whole_of = _two_classes(float(strategy), there)
    else:
        raise wrong("sampling_strategy", "a text, a share or a dict", strategy)
    if not keep:
        return whole_of
    for label, rows in whole_of.items():
        if rows < there[label]:
            fault = f"asks for {rows} rows of a class that has {there[label]}"
            raise InputError(f"sampling_strategy: {fault}; pass keep_real=False for fewer")
    return {label: rows - there[label] for label, rows in whole_of.items()}


def _two_classes(share: float, there: dict[Any, int]) -> dict[Any, int]:
    if len(there) != 2 or not 0 < share <= 1:
        raise InputError(
            f"sampling_strategy {share:g}: a share from 0 to 1 is for two classes; pass a dict instead"
        )
    rarer, other = sorted(there, key=lambda label: there[label])
    return {other: there[other], rarer: round(share * there[other])}


def _like(made: Any, given: Any) -> Any:
    """The rows as the argument came: frame, series, array or list."""
    if isinstance(given, pd.DataFrame):
        return made.set_axis(given.columns, axis=1)
    if isinstance(given, pd.Series):
        return made.rename(given.name)
    return made.to_numpy(dtype=given.dtype) if isinstance(given, np.ndarray) else made.tolist()
