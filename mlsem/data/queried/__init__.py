"""Mixed models whose rows an engine has: it computes the columns of the formula, and sums them.

It may import all of `data`; narwhals is imported when used.
"""
