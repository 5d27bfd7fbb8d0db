"""The engine of random-slope models: a covariance matrix for each cluster.

It may import implied moments, samples, clusters and the objective; never the other engines.
Equations: `likelihood`, then `information`, `scores`, `clusters`.

The other engines have the same files, but for these. `carriers` arranges the data, each cluster in
coordinates of its own; REML and the bound on random effects see every model so. `posterior` is of
each cluster as well, and so is here for random intercepts too: one is the random slope of the
constant.
"""
