"""Likelihood-ratio tests, at the boundary and with scaling too.

It may import `estimates`, `covariance` and what they may; none of its five neighbours.
Equations: `run`, `boundary`, `mixtures`.
"""
