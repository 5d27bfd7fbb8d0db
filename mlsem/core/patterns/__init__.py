"""The engine of models with missing values: full-information maximum likelihood.

It may import implied moments, samples, clusters and the objective; never the other engines.
Equations: `likelihood`, then `information`, `scores`, `clusters`, `cumulants`.

Random intercepts and random slopes are one here: a random effect is that of its carrier, and a
random intercept that of the constant. `carriers` arranges the data, `padded` has the algebra of
patterns, `saturated` the moments without structure.
"""
