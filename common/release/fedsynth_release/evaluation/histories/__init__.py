"""Evaluates persons with histories: their events, the order of their events, and whole persons."""

from fedsynth_release.evaluation.histories.distances import history_distances

__all__ = ["history_distances"]
