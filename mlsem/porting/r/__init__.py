"""R scripts become Python.

The road: `read.py` (tree-sitter's tree → `nodes.py`) → `program.py`, statement by statement, with
`expressions.py` for R's operators and a table of R's functions by subject: `fits.py`, `results.py`,
`robust.py`, `frames.py`, `reading.py`, `texts.py`, `basics.py`. What they make are `values.py`;
`layout.py` writes it down. What none of them knows raises `Refused` and stays as a comment.
"""
