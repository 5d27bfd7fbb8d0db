"""`cluster_diagnostics`: what single clusters do to the estimates.

It may import `estimates`, `covariance` and what they may; none of its five neighbours.
Equations: `influence`.
"""
