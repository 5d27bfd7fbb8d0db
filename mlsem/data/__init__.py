"""From the user's data frame to cluster moments, and frames back.

`table` is the frame, `moments` what is read from rows, `design` columns of R's formulas.
It may import the syntax, the model and the core. Equations: `moments/aggregate`.
"""
