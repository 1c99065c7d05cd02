"""Runs declared analyses on real and on synthetic rows, and says which conclusions carry over.

`declared.py` reads the file of an analyst, `design.py` makes the rows of a model, `estimates.py`
fits it, `comparison.py` compares two fits, and `run.py` does all of it. The result is computed from
real records without noise, so it stays with those who may see the records.
"""
