"""Deals the rows of a table out to sites, as is usual in the literature on federated learning.

- `iid` deals rows out at random, in equal parts. This is the easy case.
- `dirichlet:ALPHA` makes the sites differ in the target (label skew). For every class of the
  target, the shares of the sites are drawn from Dirichlet(ALPHA) (Hsu, Qi and Brown 2019). With 0.1
  the sites differ strongly, and with 100 hardly. A numeric target is cut at its deciles; rows
  without a target are a class of their own.
- `quantity:ALPHA` or `quantity:0.5,0.3,0.2` makes the sites differ in size only. The sizes are
  drawn from Dirichlet(ALPHA) or given as fractions that sum to 1.
- A site column (`hospital`, `region`) names the site that each row really came from. The column is
  removed from the parts, because it is constant in each, unless the schema declares it.

Guarantees: every row goes to exactly one site; rows keep their order within a site; an empty site
is an error; the same state of the random generator gives the same parts.
"""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from fedsynth_common.array_types import BoolArray, Float64Array, Int64Array
from fedsynth_common.errors import InputError
from fedsynth_common.tables import as_number, as_text

_MOST_CLASSES = 20
_FORMS = "'iid', 'dirichlet:ALPHA', 'quantity:ALPHA' or 'quantity:FRACTION,FRACTION,...'"


def partition(
    frame: pd.DataFrame,
    sites: int,
    spec: str,
    rng: np.random.Generator,
    *,
    target: str | None = None,
    site_column: str | None = None,
    publish: bool = False,
) -> dict[str, pd.DataFrame]:
    """Deal the rows of `frame` out to sites.

    Args:
        frame: The pooled table.
        sites: Number of sites; not used with `site_column`.
        spec: How rows are dealt out, see above; not used with `site_column`.
        rng: Decides which site gets which row.
        target: The column whose classes `dirichlet` skews.
        site_column: A column that names the site of every row.
        publish: Whether the parts keep the site column.

    Returns:
        Parts by site name: "site-1", ..., or the values of `site_column` in sorted order.

    Raises:
        InputError: `spec` cannot be read, its numbers are impossible, or a site would be empty.
    """
    if site_column is not None:
        return _natural(frame, site_column, publish)
    if sites < 1:
        raise InputError(f"--sites must be at least 1, got {sites}")
    if len(frame) < sites:
        raise InputError(f"{len(frame)} rows cannot be dealt out to {sites} sites")
    owners = _dealer(spec, frame, sites, target)(rng)
    sizes = np.bincount(owners, minlength=sites)
    if not sizes.all():
        raise InputError(
            f"partition {spec!r} leaves site-{int(sizes.argmin()) + 1} of {sites} without rows; "
            "use fewer sites or a larger ALPHA or fraction"
        )
    return {f"site-{k + 1}": _part(frame, owners == k) for k in range(sites)}


def _part(frame: pd.DataFrame, mask: BoolArray) -> pd.DataFrame:
    return frame.loc[mask].reset_index(drop=True)


def _natural(frame: pd.DataFrame, site_column: str, publish: bool) -> dict[str, pd.DataFrame]:
    if site_column not in frame.columns:
        raise InputError(f"the table has no site column {site_column!r}")
    names = as_text(frame[site_column])
    if names.isna().any():
        raise InputError(
            f"site column {site_column!r} is empty in {int(names.isna().sum())} rows; "
            "every row must belong to a site"
        )
    rest = frame if publish else frame.drop(columns=site_column)
    return {name: _part(rest, (names == name).to_numpy()) for name in sorted(names.unique())}


def _dealer(
    spec: str, frame: pd.DataFrame, sites: int, target: str | None
) -> Callable[[np.random.Generator], Int64Array]:
    """The function that draws the site of every row; it is returned only if `spec` is valid."""
    kind, _, rest = spec.strip().partition(":")
    rows = len(frame)
    if kind == "iid" and not rest:
        return lambda rng: _by_shares(rows, np.full(sites, 1 / sites), rng)
    if kind == "dirichlet" and rest:
        alpha, classes = _alpha(rest, spec), _classes(frame, target, spec)
        return lambda rng: _label_skew(classes, sites, alpha, rng)
    if kind == "quantity" and "," in rest:
        shares = _fractions(rest, sites, spec)
        return lambda rng: _by_shares(rows, shares, rng)
    if kind == "quantity" and rest:
        alpha = _alpha(rest, spec)
        return lambda rng: _by_shares(rows, rng.dirichlet(np.full(sites, alpha)), rng)
    raise InputError(f"partition {spec!r} is not understood; expected {_FORMS}")


def _by_shares(rows: int, shares: Float64Array, rng: np.random.Generator) -> Int64Array:
    """Sites of the rows in random order, with sizes as close to `shares` as whole rows allow."""
    cuts = np.round(np.cumsum(shares) * rows).astype(np.int64)
    cuts[-1] = rows
    owners = np.repeat(np.arange(len(shares)), np.diff(cuts, prepend=0))
    return rng.permutation(owners)


def _label_skew(
    classes: Int64Array, sites: int, alpha: float, rng: np.random.Generator
) -> Int64Array:
    owners = np.empty(len(classes), dtype=np.int64)
    for label in np.unique(classes):
        rows = np.flatnonzero(classes == label)
        owners[rows] = _by_shares(len(rows), rng.dirichlet(np.full(sites, alpha)), rng)
    return owners


def _classes(frame: pd.DataFrame, target: str | None, spec: str) -> Int64Array:
    if target is None:
        raise InputError(f"partition {spec!r} skews the target, but no target is declared")
    if target not in frame.columns:
        raise InputError(f"partition {spec!r}: the table has no target column {target!r}")
    classes, levels = pd.factorize(as_text(frame[target]))
    values = as_number(frame[target])
    if len(levels) > _MOST_CLASSES and not np.isnan(values[classes >= 0]).any():
        deciles = np.nanquantile(values, np.arange(1, 10) / 10)
        classes = np.where(classes < 0, -1, np.searchsorted(deciles, values, side="left"))
    return classes.astype(np.int64)


def _number(text: str, spec: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError(
            f"partition {spec!r}: {text!r} is not a number; expected {_FORMS}"
        ) from None


def _alpha(text: str, spec: str) -> float:
    alpha = _number(text, spec)
    if not (math.isfinite(alpha) and 1e-3 <= alpha <= 1e6):
        raise InputError(f"partition {spec!r}: ALPHA must be between 0.001 and 1000000")
    return alpha


def _fractions(text: str, sites: int, spec: str) -> Float64Array:
    shares = np.array([_number(part, spec) for part in text.split(",")])
    if len(shares) != sites:
        raise InputError(f"partition {spec!r} names {len(shares)} fractions for {sites} sites")
    if not (np.isfinite(shares).all() and (shares > 0).all() and abs(shares.sum() - 1) < 1e-6):
        raise InputError(f"partition {spec!r}: fractions must be positive and sum to 1")
    return shares
