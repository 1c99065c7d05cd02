"""The rows of the benchmark: every way to get a synthetic table that the figures are printed for.

| row | what it is | ε of one record |
|---|---|---|
| real | the real train rows: the ceiling | - |
| independent | columns resampled without each other: the floor | - |
| nb, nb-dp | naive Bayes from label tables, exact, and with local noise at every site | -, ε |
| site-alone | the product, run by the largest site for itself | ε |
| alone-pooled | every site for itself; samples pooled in proportion to their records | ε |
| central | the product where one site holds all records | ε |
| marginals | federated, budget on noisy marginals only | ε |
| gan | federated, budget on discriminators (and one-way histograms) only | ε |
| both | federated, marginals and discriminators | ε |
| control | `both` with adversarial weight 0: same steps, same budget, discriminators ignored | ε |
| mst, aim | central, on graphical models, in an environment of their own | ε |
| argn-dp | central, TabularARGN with DP-SGD, in another environment | ε |
| ctgan | central, in the same environment | - |

`both` against `control` says what the discriminators add; `both` against `marginals` says whether
that is worth their share of the budget. alone-pooled costs each record ε, since every record is at
one site (parallel composition), but the pooling in proportion uses true sizes: a favour to it.

Seeds fix data partition, noise, training and sampling, so runs repeat; seeded noise is *not*
private, hence nothing produced here may be released.
"""

import numpy as np

from fedsynth_release.evaluation.references import independent_columns
from fedsynth_simulations.baselines import naive_bayes
from fedsynth_simulations.benchmarks.cells import Cell
from fedsynth_simulations.benchmarks.external import External, synthesise
from fedsynth_simulations.benchmarks.external_networks import synthesise_network
from fedsynth_simulations.benchmarks.maker import Made, Maker
from fedsynth_simulations.benchmarks.tables import BenchmarkTable


def maker_of(row: str) -> Maker:
    """The maker of a row, its libraries imported: torch and Flower only where they are needed."""
    if row in SIMPLE:
        return SIMPLE[row]
    from fedsynth_simulations.benchmarks.studies import STUDIES

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
    made = naive_bayes(
        table.train,
        table.schema,
        rows,
        rng,
        epsilon=cell.epsilon,
        delta=cell.delta,
        sites=sites or 1,
    )
    return Made(made, cell.epsilon)


PUBLISHED = {
    "mst": synthesise,
    "aim": synthesise,
    "argn-dp": synthesise_network,
    "ctgan": synthesise_network,
}


def _external(cell: Cell, table: BenchmarkTable, external: External) -> Made:
    made = PUBLISHED[cell.row](
        cell.row,
        table.train,
        table.schema,
        epsilon=cell.epsilon or 1.0,
        delta=cell.delta or 1e-5,
        seed=cell.seed,
        external=external,
    )
    return Made(made.frame, cell.epsilon, peak_megabytes=made.peak_megabytes)


SIMPLE: dict[str, Maker] = {
    "real": _real,
    "independent": _independent,
    "nb": _naive_bayes,
    "nb-dp": _naive_bayes,
    **dict.fromkeys(PUBLISHED, _external),
}
