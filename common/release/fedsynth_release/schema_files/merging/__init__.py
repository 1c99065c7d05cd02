"""Merges the reviewed drafts of several sites into one schema, and says what a person must decide."""
