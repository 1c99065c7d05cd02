"""A finished generator as a service: rows over HTTP, with its card, statement and report."""
