"""Direct, indirect and total effects of one variable on another, along the paths of a model.

It may import what `inference/covariance` may, and `inference/covariance`; no other question.
Equations: `paths`.
"""
