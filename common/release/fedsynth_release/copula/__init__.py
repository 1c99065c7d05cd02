"""Pairs of ordered columns as two correlated normal variables that are cut into codes."""
