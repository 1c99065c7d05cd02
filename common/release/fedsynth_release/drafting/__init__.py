"""Proposes a schema from a table. A draft is NOT private, and a person must review it.

`draft.py` is the entrance. It reads a table once (`tally.py`), decides what each column is
(`column_kinds.py`, by `persons.py`, `moments.py`, `numbers.py`, `amounts.py`, `categories.py`), and
looks for rules (`rules.py`). What a person says beforehand is in `wishes.py`. Every decision that a
reader should know of becomes a note (`notes.py`). All inference happens here, and none when records
are encoded: what was inferred stands in the schema, where people can read it.
"""
