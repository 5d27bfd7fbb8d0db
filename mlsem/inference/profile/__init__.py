"""Profile-likelihood intervals.

It may import `estimates`, `covariance` and what they may; none of its five neighbours.
Equations: `search`.
"""
