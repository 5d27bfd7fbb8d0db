"""`compare_se`: do model-based and robust standard errors differ by more than chance?

It may import `estimates`, `covariance` and what they may; none of its five neighbours.
"""
