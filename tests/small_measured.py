"""A measured column as the report judges it, made without a study."""

import numpy as np

from fedsynth_common.schema import domain_of
from fedsynth_release.decoding import Codebook
from fedsynth_release.report.expected import MeasuredShares


def measured(column, codes, error=0.001, cell_error=0.001, records=1e6, shape=None):
    """A column whose cells form `codes` codes of equal width, with equal shares."""
    cells = domain_of(column).width
    view = (np.arange(cells) * codes // cells).astype(np.uint16)
    shape = np.ones(cells) if shape is None else np.asarray(shape)
    shape = shape / np.bincount(view, weights=shape)[view]
    shares = np.full(codes, 1 / codes)
    book = Codebook((view,), (shape,))
    return MeasuredShares.of(column, book, 0, (shares, error, cell_error), records)
