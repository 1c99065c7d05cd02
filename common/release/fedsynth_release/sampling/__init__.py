"""Draws records from a generator, under conditions, under rules, and with some cells given."""
