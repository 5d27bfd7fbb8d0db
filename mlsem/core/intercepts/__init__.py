"""The engine of random-intercept models: cluster sizes share all matrix work.

It may import implied moments, samples, clusters and the objective; never the other engine.
Equations: `likelihood`, then `information`, `scores`, `clusters`.
"""
