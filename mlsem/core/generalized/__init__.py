"""Generalised linear models and estimating equations: families, scoring, clusters.

May import records, walks, linear algebra and the clusters' interface.
"""
