"""From rows to cluster moments: checks, products, one pass over the rows.

It may import `data/table`, the model and the core. Rows come as arrays; no data frame here.
Equations: `aggregate`; products of shifted factors in `products` and `bases`.
"""
