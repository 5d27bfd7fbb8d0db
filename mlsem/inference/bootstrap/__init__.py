"""Bootstraps: pairs of clusters, wild and parametric draws, and what is made of them.

It may import `estimates`, `covariance` and what they may; none of its five neighbours.
Equations: `draws`.
"""
