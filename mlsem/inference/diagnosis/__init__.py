"""`cluster_diagnostics`: what single clusters do to the estimates.

It may import `covariance`, `estimated`, the report and the parallel work; none of its five
neighbours. Equations: `influence`.
"""
