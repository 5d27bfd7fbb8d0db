"""The engine of random-slope models: a covariance matrix for each cluster.

It may import implied moments, samples, clusters and the objective; never the other engine.
Equations: `likelihood`, then `information`, `scores`, `clusters`.

The other engine has the same files, but for these. `carriers` arranges the data, each cluster in
coordinates of its own; REML and the bound on random effects see every model so. `posterior` is of
each cluster too, and so is here for both engines: a random intercept is the random slope of the
constant.
"""
