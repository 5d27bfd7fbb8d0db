"""Wald tests of hypotheses: chi-square, F, and HTZ with few clusters.

It may import `estimates`, `covariance` and what they may; none of its five neighbours.
"""
