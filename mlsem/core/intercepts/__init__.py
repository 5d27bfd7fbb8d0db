"""The engine of random-intercept models: cluster sizes share all matrix work.

It may import implied moments, samples, clusters and the objective; never the other engines.
Equations: `likelihood`, then `information`, `scores`, `clusters`.

The other engines have the same files, but what `slopes.carriers` and `patterns.carriers`
make of the data is `core.sample.shapes` here, which starting values and the saturated model need of
every model. Posteriors are those of `slopes.posterior`, a random intercept being the slope of
the constant.
"""
