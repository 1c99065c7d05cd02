"""Independent columns: the floor of fidelity and utility, and a reference of every evaluation.

Lives in `fedsynth_common.evaluation.references`; here for those who look among the baselines.
"""

from fedsynth_common.evaluation.references.independent import independent_columns

__all__ = ["independent_columns"]
