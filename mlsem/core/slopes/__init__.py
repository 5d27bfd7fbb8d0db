"""The engine of random-slope models: a covariance matrix for each cluster.

It may import implied moments, samples, clusters and the objective; never the other engines.
Equations: `likelihood`, then `information`, `scores`, `clusters`.

The other engines have the same files, but for these. `carriers` arranges the data, each cluster in
coordinates of its own; REML and the bound on random effects see every model so. `posterior` and
`clusterwise` are of each cluster too, and so are here for both engines of complete rows: a random
intercept is the random slope of the constant.
"""
