"""R scripts become Python.

The road: `read.py` (tree-sitter's tree → `nodes.py`) → `program.py`, statement by statement.
`expressions.py`, `conditions.py` and `indices.py` are for R's operators; calls go by a table of R's
functions (`context.py`), by subject: `fits.py`, `mixed_fits.py`, `survey_fits.py`, `results.py`,
`testing.py`, `predictions.py`, `robust.py`; `reading.py`, `frames.py`, `columns.py`, `clusters.py`;
`texts.py`, `basics.py`. What they make are `values.py`; `layout.py` writes it down. What
none of them knows raises `Refused` and stays as a comment.
"""
