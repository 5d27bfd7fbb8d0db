"""Figures: plain lists in, a matplotlib figure out, drawn in one style (`style.py`).

A file for each kind of figure. matplotlib is imported when one is drawn; `drawing.py`, which has a
subclass of its Figure, is imported then as well.
"""
