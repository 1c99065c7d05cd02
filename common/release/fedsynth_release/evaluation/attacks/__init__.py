"""Attacks on published tables, each against a control set of people who are not inside.

`run_attacks` runs all of them on the synthetic table and on references of known risk in one go:
same targets, same code, same seeds. A figure of an attack means something only beside the positive
control (`leaky`), which it must notice, and the references, which say what it could have found.
"""

from fedsynth_release.evaluation.attacks.run import ATTACKS, AttackKind, run_attacks
from fedsynth_release.evaluation.attacks.sides import Sides

__all__ = ["ATTACKS", "AttackKind", "Sides", "run_attacks"]
