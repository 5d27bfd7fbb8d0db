"""Columns of a mixed model's formula, as R makes them.

It may import `data/table`, `data/moments`, the syntax and the core.
What a formula may call stands in `r_functions`; coding of factors in `columns`.
"""
