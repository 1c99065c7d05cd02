"""Checks whether a table is fit to be served, before a study starts."""
