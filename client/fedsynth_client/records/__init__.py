"""Reads the records of a site and keeps them as codes."""
