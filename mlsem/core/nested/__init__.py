"""The engine of random-intercept models of three levels: rows in clusters in units.

It may import implied moments, samples, clusters, the objective, and of the engine of two levels
what a cluster's mean is made of; never the other engines.
Equations: `likelihood`, then `information`, `clusters`.
"""
