"""What belongs to the clusters of a robust covariance, whichever engine they come from.

It may import records, linear algebra, arrows, implied moments and samples of the core.
Equations: unions of model clusters in `unions`, third and fourth cumulants in `cumulants`;
the clusters of several terms in `sum`.
"""
