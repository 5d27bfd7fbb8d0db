"""The engine of random-intercept models: cluster sizes share all matrix work.

It may import implied moments, samples, clusters and the objective; never the other engine.
Equations: `likelihood`, then `information`, `scores`, `clusters`.

The other engine has the same files, but for these. `runaway` stands here alone: only with random
intercepts is there one matrix for all clusters of a size, and so an edge that can be watched. What
`slopes.carriers` makes of the data is `core.sample.shapes` here, which starting values and the
saturated model need of every model. Posteriors are those of `slopes.posterior`, a random intercept
being the random slope of the constant.
"""
