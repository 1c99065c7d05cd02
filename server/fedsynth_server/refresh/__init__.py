"""Studies of cohorts that build on the release of earlier ones, and what changed between them."""

HALF_LIFE = 8.0
"""Cohorts after which what was measured counts half, unless it is declared otherwise."""
