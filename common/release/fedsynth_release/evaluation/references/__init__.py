"""Tables of known risk and worth, made from the real training rows, to read every figure beside.

- `independent_columns`: the floor of utility and fidelity;
- `pseudonymised`: what is often shared today, ids dropped and rows as they are;
- `k_anonymised`: the classical remedy, Mondrian with k = 5;
- `leaky_table`: a generator that leaks on purpose, which every attack has to notice.

None of them is differentially private; all but the floor contain real rows or cells of them.
"""

from fedsynth_release.evaluation.references.independent import independent_columns
from fedsynth_release.evaluation.references.leaky import leaky_table
from fedsynth_release.evaluation.references.mondrian import k_anonymised, partition
from fedsynth_release.evaluation.references.pseudonymised import pseudonymised

__all__ = ["independent_columns", "k_anonymised", "leaky_table", "partition", "pseudonymised"]
