"""The rows of the benchmark: all methods to make a synthetic table.

| row | method | ε of one record |
|---|---|---|
| real | the real train rows (the ceiling) | - |
| independent | columns drawn independently of each other (the floor) | - |
| nb, nb-dp | naive Bayes from label tables, exact, and with local noise at every site | -, ε |
| site-alone | fedsynth at the largest site alone | ε |
| alone-pooled | fedsynth at each site alone; records pooled in proportion to the sites' sizes | ε |
| central | fedsynth with all records at one site | ε |
| marginals | federated; the budget is spent on noisy marginals only | ε |
| three-way | `marginals`, and the triples of columns that say more than pairs | ε |
| secure-sum | `marginals`, of which the coordinator sees the sum over three or more sites | ε |
| site-marginals | `secure-sum`, with each site's own one-way marginals beside the sums | ε |
| summed-three-way | `three-way` with a secure sum | ε |
| summed-gan, summed-both, summed-control | the next three rows with a secure sum | ε |
| gan | federated; the budget is spent on discriminators (and one-way histograms) only | ε |
| both | federated; the budget is spent on marginals and discriminators | ε |
| listen | `both`, but if nothing is heard, pairs are measured again instead | ε |
| control | `both` with adversarial weight 0: same steps and budget, discriminators not used | ε |
| mst, aim | central, on graphical models, in an environment of their own | ε |
| argn-dp | central, TabularARGN with DP-SGD, in another environment | ε |
| ctgan | central, in the same environment | - |

Comparing `both` with `control` shows what the discriminators add. Comparing `both` with `marginals`
shows whether this is worth their share of the budget. alone-pooled costs each record ε, because
every record is at one site (parallel composition). Its pooling uses the true sizes of the sites
without noise, which is an advantage for it.

The seed fixes partition, noise, training and sampling, so runs can be repeated. Seeded noise is
*not* private, so nothing made here may be published.
"""

import numpy as np

from fedsynth_release.evaluation.references import independent_columns
from fedsynth_simulations.baselines import naive_bayes
from fedsynth_simulations.benchmarks.cell_results import Cell
from fedsynth_simulations.benchmarks.external import External, synthesise
from fedsynth_simulations.benchmarks.external_networks import synthesise_network
from fedsynth_simulations.benchmarks.maker_types import Made, Maker
from fedsynth_simulations.benchmarks.tables import BenchmarkTable


def maker_of(row: str) -> Maker:
    """The function that makes the table of a row; torch and Flower are imported only if needed."""
    if row in SIMPLE:
        return SIMPLE[row]
    from fedsynth_simulations.benchmarks.study_rows import STUDIES

    return STUDIES[row]


def _real(cell: Cell, table: BenchmarkTable, external: External) -> Made:
    return Made(table.train)


def _independent(cell: Cell, table: BenchmarkTable, external: External) -> Made:
    rng = np.random.default_rng(cell.seed)
    return Made(independent_columns(table.train, len(table.train), rng))


def _naive_bayes(cell: Cell, table: BenchmarkTable, external: External) -> Made:
    rng, rows = np.random.default_rng(cell.seed), len(table.train)
    if cell.epsilon is None or cell.delta is None:
        return Made(naive_bayes(table.train, table.schema, rows, rng))
    sites = cell.sites if table.sites is None else table.sites.nunique()
    synthetic = naive_bayes(
        table.train,
        table.schema,
        rows,
        rng,
        epsilon=cell.epsilon,
        delta=cell.delta,
        sites=sites or 1,
    )
    return Made(synthetic, cell.epsilon)


PUBLISHED = {
    "mst": synthesise,
    "aim": synthesise,
    "argn-dp": synthesise_network,
    "ctgan": synthesise_network,
}


def _external(cell: Cell, table: BenchmarkTable, external: External) -> Made:
    result = PUBLISHED[cell.row](
        cell.row,
        table.train,
        table.schema,
        epsilon=cell.epsilon or 1.0,
        delta=cell.delta or 1e-5,
        seed=cell.seed,
        external=external,
    )
    return Made(result.frame, cell.epsilon, peak_megabytes=result.peak_megabytes)


SIMPLE: dict[str, Maker] = {
    "real": _real,
    "independent": _independent,
    "nb": _naive_bayes,
    "nb-dp": _naive_bayes,
    **dict.fromkeys(PUBLISHED, _external),
}
