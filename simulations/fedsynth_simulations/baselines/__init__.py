"""Simple synthesisers that every result is printed beside: worse than these is worthless.

The simplest, independent columns, is also a reference of every evaluation and lives there:
`fedsynth_release.evaluation.references`.
"""

from fedsynth_simulations.baselines.naive_bayes import naive_bayes

__all__ = ["naive_bayes"]
