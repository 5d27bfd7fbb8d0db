"""Searches for a maximum, and the coordinates that they run in.

It may import implied moments, samples and clusters; it knows an objective by its interface only.
Equations: `maximise` (Fisher scoring), `constrained`, `factored` (faces), `coordinates`,
`sum` (a log-likelihood for each group).
"""
