"""The engine of random-slope models: a covariance matrix for each cluster.

It may import implied moments, samples, clusters and the objective; never the other engine.
Equations: `likelihood`, then `information`, `scores`, `clusters`.
"""
