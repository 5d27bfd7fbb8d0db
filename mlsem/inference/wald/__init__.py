"""Wald tests of hypotheses: chi-square, F, and HTZ with few clusters.

It may import `covariance`, `estimated`, the report and the parallel work; none of its five
neighbours. Equations: `inference/covariance/statistics`.
"""
