"""Attacks on published tables, each compared with controls who are not in the table.

`run_attacks` runs every attack on the synthetic table and on reference tables of known risk, with
the same targets, code and seeds. To read the figure of an attack, compare it with the references,
which show what the attack can find, and check that the attack notices the positive control
(`leaky`).
"""

from fedsynth_release.evaluation.attacks.attack_setup import AttackSetup
from fedsynth_release.evaluation.attacks.run import ATTACKS, AttackKind, run_attacks

__all__ = ["ATTACKS", "AttackKind", "AttackSetup", "run_attacks"]
