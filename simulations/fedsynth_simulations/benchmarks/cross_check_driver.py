"""Computes the figures of SDMetrics and Anonymeter; runs in the environment of `cross-check`.

Usage: python cross_check_driver.py IN.npz OUT.json. The script imports nothing of fedsynth, because
its environment has other libraries. The input contains `train`, `control` and `synthetic` (rows x
columns, NaN = missing), `categorical` (one flag per column), `attacks` and `secret`. The output
contains the figures by name, see the functions.

SDMetrics imports `copulas`, whose licence is not open source, for a metric that is not used here.
An empty module is imported in its place.
"""

import importlib
import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd


def main(source: str, result: str) -> None:
    """Read the tables, write the figures."""
    with np.load(source, allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    figures = {"sdmetrics": sdmetrics(arrays), "anonymeter": anonymeter(arrays)}
    Path(result).write_text(json.dumps(figures), encoding="utf-8")


def frame_of(cells: Any, categorical: Any, missing: str | None) -> pd.DataFrame:
    """The codes as texts, so that no library reads them as numbers."""
    columns = {}
    for j, flag in enumerate(categorical.tolist()):
        cell = cells[:, j]
        if flag:
            texts = [missing if np.isnan(x) else f"L{int(x)}" for x in cell.tolist()]
            columns[f"c{j}"] = pd.Series(texts, dtype=object)
        else:
            columns[f"c{j}"] = pd.Series(cell)
    return pd.DataFrame(columns)


def sdmetrics(arrays: dict[str, Any]) -> dict[str, float]:
    """KSComplement and TVComplement per column; similarity of pairs of one kind."""
    for name in ("copulas", "copulas.univariate", "copulas.univariate.base"):
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["copulas.univariate.base"].Univariate = object  # type: ignore[attr-defined]
    single = importlib.import_module("sdmetrics.single_column")
    pairs = importlib.import_module("sdmetrics.column_pairs")
    flags = arrays["categorical"]
    real, synthetic = (frame_of(arrays[n], flags, None) for n in ("train", "synthetic"))
    figures = {}
    for j, flag in enumerate(flags.tolist()):
        metric = single.TVComplement if flag else single.KSComplement
        figures[f"shape {j}"] = float(metric.compute(real[f"c{j}"], synthetic[f"c{j}"]))
    for i in range(len(flags)):
        for j in range(i):
            if flags[i] != flags[j]:
                continue
            metric = pairs.ContingencySimilarity if flags[i] else pairs.CorrelationSimilarity
            names = [f"c{j}", f"c{i}"]
            figures[f"pair {j} {i}"] = float(metric.compute(real[names], synthetic[names]))
    return figures


def anonymeter(arrays: dict[str, Any]) -> dict[str, list[int]]:
    """[successes on training rows, successes on control rows, attacks] per attack."""
    flags, attacks = arrays["categorical"], int(arrays["attacks"])
    evaluators = importlib.import_module("anonymeter.evaluators")
    ori, control, syn = (
        frame_of(arrays[name], flags, "missing") for name in ("train", "control", "synthetic")
    )
    common = {"ori": ori, "syn": syn, "control": control, "n_attacks": attacks}
    successes = {}
    for mode in ("univariate", "multivariate"):
        done = evaluators.SinglingOutEvaluator(**common, seed=0, max_attempts=200_000)
        done.evaluate(mode=mode)
        tried = len(  # it divides by the number asked for, even where it found fewer
            singling_out_queries(done, mode, attacks)
        )
        results = done.results()
        successes[f"singling-out-{mode}"] = [int(results.n_success), int(results.n_control), tried]
    halves = (
        [f"c{j}" for j in range(0, len(flags), 2)],
        [f"c{j}" for j in range(1, len(flags), 2)],
    )
    done = evaluators.LinkabilityEvaluator(**common, aux_cols=halves).evaluate(n_jobs=1)
    results = done.results()
    successes["linkability"] = [int(results.n_success), int(results.n_control), attacks]
    secret = f"c{int(arrays['secret'])}"
    done = evaluators.InferenceEvaluator(
        **common, secret=secret, aux_cols=[c for c in ori.columns if c != secret]
    ).evaluate(n_jobs=1)
    results = done.results()
    successes["inference"] = [int(results.n_success), int(results.n_control), attacks]
    return successes


def singling_out_queries(evaluator: Any, mode: str, attacks: int) -> list[Any]:
    """The predicates of an evaluation, written again with the same seed."""
    module = importlib.import_module("anonymeter.evaluators.singling_out_evaluator")
    queries = module._generate_singling_out_queries(
        df=evaluator._syn,
        n_attacks=attacks,
        n_cols=evaluator._n_cols,
        mode=mode,
        max_attempts=evaluator._max_attempts,
        rng=np.random.default_rng(0),
    )
    return list(queries)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
