"""Reference tables of known risk and usefulness, made from the real training rows.

- `independent_columns` is the floor of utility and fidelity.
- `pseudonymised` is what is often shared today: the real rows without their ids.
- `k_anonymised` is a classical protection: Mondrian with k = 5.
- `leaky_table` comes from a generator that leaks on purpose; every attack must notice it.

None of them is differentially private. All of them contain cells of real rows.
"""

from fedsynth_release.evaluation.references.independent import independent_columns
from fedsynth_release.evaluation.references.leaky import leaky_table
from fedsynth_release.evaluation.references.mondrian import k_anonymised, partition
from fedsynth_release.evaluation.references.pseudonymised import pseudonymised

__all__ = ["independent_columns", "k_anonymised", "leaky_table", "partition", "pseudonymised"]
