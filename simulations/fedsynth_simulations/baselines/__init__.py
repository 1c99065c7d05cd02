"""Simple synthesisers to compare with. A generator that is worse than these is useless.

The simplest one, independent columns, is also a reference of every evaluation. Its code is in
`fedsynth_release.evaluation.references`.
"""

from fedsynth_simulations.baselines.naive_bayes import naive_bayes

__all__ = ["naive_bayes"]
