"""Columns that look like direct identifiers: how they are found in headings and in texts."""
