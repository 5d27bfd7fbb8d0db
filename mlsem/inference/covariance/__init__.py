"""Covariances of the estimates: model-based, MLR, CR0-CR3, with their degrees of freedom.

It may import the estimation and all below it; the rest of the inference imports it.
Equations: `equations`, `adjust`, `cluster_robust` (CR family), `mixed` (linear mixed models),
`statistics` (joint tests).
"""
