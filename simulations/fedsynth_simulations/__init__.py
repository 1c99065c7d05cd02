"""Simulates many fedsynth sites on one machine, for studies, benchmarks and attacks."""
