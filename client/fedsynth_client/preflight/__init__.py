"""Whether a table is fit to be served, checked before a study starts."""
