"""Profile-likelihood intervals.

It may import `covariance`, `estimated`, the report and the parallel work; none of its five
neighbours. Equations: `search`, and `estimation/profile`.
"""
