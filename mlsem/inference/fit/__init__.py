"""How well a model fits: saturated and baseline models, tests of fit, fit measures.

It may import what `inference/covariance` may, and `inference/covariance`; no other question.
Equations: the score test in `score`, likelihood-ratio tests in `ratio`, indices in `measures`.
"""
