"""MST and AIM on integer codes, run by the Python of an environment of its own that holds `mbi`.

No module imports this file; `external.py` starts it as a script, because mbi needs jax, which
the rest of fedsynth does not need. Codes come in as a .npz file without pickled objects, synthetic
codes go out the same way, so both environments share nothing but arrays.

Written from the papers, on mbi's graphical model:

- MST: McKenna, Miklau & Sheldon 2021 ("Winning the NIST contest"), section 4. A third of ρ on all
  one-way marginals, a third on choosing d - 1 pairs that form a tree (exponential mechanism on the
  L1 error of the independent model, Kruskal order), a third on measuring them. Its compression of
  rare values is left out: the codebook has merged them already.
- AIM: McKenna, Mullins, Sheldon & Miklau 2022 (arXiv 2201.12677), Algorithms 1 and 2, for the
  workload of all pairs: T = 16 d rounds planned, a tenth of each round's ρ on the selection, noise
  halved whenever a measurement taught less than noise would have, model size bounded.

A record is in one cell of every marginal (add/remove). Gaussian noise of standard deviation s costs
ρ = 1 / (2 s²), an exponential mechanism of parameter e costs ρ = e² / 8. The noise is seeded
floating point: for benchmarks, never for a release.
"""

import importlib
import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

jax: Any = importlib.import_module("jax")
jax.config.update("jax_enable_x64", True)
jax.config.update("jax_enable_compilation_cache", False)
mbi: Any = importlib.import_module("mbi")
junction_tree: Any = importlib.import_module("mbi.junction_tree")

Floats = npt.NDArray[np.float64]
Clique = tuple[str, ...]

MODEL_MEGABYTES = 80.0  # AIM's bound; the paper's default
SELECTION_SHARE = 0.1  # of each AIM round's ρ
FIT_ITERATIONS, ROUND_ITERATIONS = 5000, 1000


class Data:
    """The private codes with the two things that may be done to them: measure and select."""

    def __init__(self, arrays: dict[str, Any]) -> None:
        self.codes = arrays["codes"].astype(np.int64)
        self.names = [str(j) for j in range(self.codes.shape[1])]
        self.domain = mbi.Domain(tuple(self.names), tuple(int(w) for w in arrays["widths"]))
        self.rho = float(arrays["rho"])
        self.rng = np.random.default_rng(int(arrays["seed"]))
        self.known = [  # the noisy one-way marginals that came with the codebook; already paid
            mbi.LinearMeasurement(arrays[f"first_{name}"], (name,), float(std))
            for name, std in zip(self.names, arrays["first_std"], strict=True)
        ]
        self._answers: dict[Clique, Floats] = {}

    def answer(self, clique: Clique) -> Floats:
        """Exact counts, flat."""
        if clique not in self._answers:
            columns = [int(name) for name in clique]
            shape = tuple(self.domain[name] for name in clique)
            index = np.ravel_multi_index(tuple(self.codes[:, c] for c in columns), shape)
            counts = np.bincount(index, minlength=int(np.prod(shape)))
            self._answers[clique] = counts.astype(np.float64)
        return self._answers[clique]

    def measure(self, clique: Clique, std: float) -> Any:
        """Noisy counts; costs 1 / (2 std²)."""
        exact = self.answer(clique)
        noisy = exact + self.rng.normal(0.0, std, exact.size)
        return mbi.LinearMeasurement(noisy, clique, std)

    def select(self, scores: dict[Clique, float], parameter: float, sensitivity: float) -> Clique:
        """Exponential mechanism by the Gumbel trick; costs parameter² / 8."""
        values = np.array(list(scores.values())) * parameter / (2 * sensitivity)
        return list(scores)[int(np.argmax(values + self.rng.gumbel(size=values.size)))]

    def fit(self, measurements: list[Any], iterations: int, start: Any = None) -> Any:
        """The graphical model that fits the measurements best."""
        return mbi.estimation.MirrorDescent().estimate(
            self.domain, [*self.known, *measurements], iters=iterations, warm_start=start
        )


def counts_of(model: Any, clique: Clique) -> Floats:
    """The model's counts of a marginal, flat in the order of `clique`."""
    return np.asarray(model.project(clique).datavector(), dtype=np.float64)


def mst(data: Data) -> Any:
    """The model of a maximum spanning tree of pairs."""
    count = len(data.names)
    ones = [data.measure((name,), np.sqrt(3 * count / (2 * data.rho))) for name in data.names]
    if count < 2:
        return data.fit(ones, FIT_ITERATIONS)
    tree = spanning_tree(data, data.fit(ones, ROUND_ITERATIONS))
    std = np.sqrt(3 * len(tree) / (2 * data.rho))
    return data.fit([*ones, *(data.measure(pair, std) for pair in tree)], FIT_ITERATIONS)


def spanning_tree(data: Data, independent: Any) -> list[Clique]:
    """A spanning tree over all columns; each pair is chosen among those that join two parts."""
    single = {name: counts_of(independent, (name,)) for name in data.names}
    total = max(float(independent.total), 1.0)
    errors: dict[Clique, float] = {}
    for a, b in itertools.combinations(data.names, 2):
        expected = np.outer(single[a], single[b]).ravel() / total
        errors[a, b] = float(np.abs(data.answer((a, b)) - expected).sum())
    part = {name: name for name in data.names}
    parameter = np.sqrt(8 * (data.rho / 3) / (len(data.names) - 1))
    tree: list[Clique] = []
    while len(tree) < len(data.names) - 1:
        joining = {pair: e for pair, e in errors.items() if part[pair[0]] != part[pair[1]]}
        a, b = data.select(joining, parameter, 1.0)
        tree.append((a, b))
        part = {name: part[a] if p == part[b] else p for name, p in part.items()}
    return tree


def aim(data: Data) -> Any:
    """The adaptive and iterative mechanism for the workload of all pairs."""
    pairs = list(itertools.combinations(data.names, 2))
    singles: list[Clique] = [(name,) for name in data.names]
    candidates = {c: float(sum(len(set(c) & set(p)) for p in pairs)) for c in [*singles, *pairs]}
    rounds = 16 * len(data.names)
    std = float(np.sqrt(rounds / (2 * (1 - SELECTION_SHARE) * data.rho)))
    parameter = float(np.sqrt(8 * SELECTION_SHARE * data.rho / rounds))
    log = [data.measure(clique, std) for clique in singles]
    spent = len(singles) / (2 * std**2)
    model, last = data.fit(log, ROUND_ITERATIONS), False
    while not last:
        if data.rho - spent < 2 * (1 / (2 * std**2) + parameter**2 / 8):
            left, last = data.rho - spent, True
            std = float(np.sqrt(1 / (2 * (1 - SELECTION_SHARE) * left)))
            parameter = float(np.sqrt(8 * SELECTION_SHARE * left))
        spent += 1 / (2 * std**2) + parameter**2 / 8
        clique = choose(data, model, candidates, std, parameter, MODEL_MEGABYTES * spent / data.rho)
        before = counts_of(model, clique)
        log.append(data.measure(clique, std))
        model = data.fit(log, ROUND_ITERATIONS, model)
        jax.clear_caches()  # every model compiles anew; some hundred programs crash the process
        learned = float(np.abs(counts_of(model, clique) - before).sum())
        print(f"{spent / data.rho:.3f} of the budget, chose {clique}", file=sys.stderr, flush=True)
        if learned <= np.sqrt(2 / np.pi) * std * before.size:
            std, parameter = std / 2, parameter * 2
    return data.fit(log, FIT_ITERATIONS, model)


def choose(
    data: Data,
    model: Any,
    candidates: dict[Clique, float],
    std: float,
    parameter: float,
    megabytes: float,
) -> Clique:
    """The marginal that the model gets most wrong, among those that keep it small enough."""
    cliques = [tuple(clique) for clique in model.cliques]
    inside = {s for c in cliques for k in (1, 2) for s in itertools.combinations(c, k)}
    scores = {}
    for clique, weight in candidates.items():
        size = junction_tree.hypothetical_model_size(data.domain, [*cliques, clique])
        if clique in inside or size <= megabytes:
            exact = data.answer(clique)
            error = float(np.abs(exact - counts_of(model, clique)).sum())
            scores[clique] = weight * (error - np.sqrt(2 / np.pi) * std * exact.size)
    return data.select(scores, parameter, max(candidates[clique] for clique in scores))


def main(method: str, source: Path, result: Path) -> None:
    """Read codes, run `method`, write as many synthetic codes as asked for."""
    with np.load(source, allow_pickle=False) as stored:
        arrays = dict(stored)
    data = Data(arrays)
    np.random.seed(int(arrays["seed"]))  # noqa: NPY002 - what mbi draws its records from
    model = {"mst": mst, "aim": aim}[method](data)
    drawn = model.synthetic_data(int(arrays["rows"])).to_dict()
    codes = np.stack([np.asarray(drawn[name]) for name in data.names], axis=1).astype(np.uint16)
    np.savez(result, codes=codes)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
