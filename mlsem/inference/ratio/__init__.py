"""Likelihood-ratio tests, at the boundary and with scaling too.

It may import `covariance`, `estimated`, the report and the parallel work; none of its five
neighbours. Equations: `run`, `boundary`, `mixtures`.
"""
