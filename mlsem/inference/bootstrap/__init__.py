"""Bootstraps: pairs of clusters, wild and parametric draws, their intervals and p values.

It may import `covariance`, `estimated`, the report and the parallel work; none of its five
neighbours. Equations: `draws`.
"""
