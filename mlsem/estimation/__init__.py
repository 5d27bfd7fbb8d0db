"""A model met with its data is estimated: starts, searches, bounds, REML.

It may import the model, the data and the core.
The road: `problem` → `estimator` → `search` → `ml`, `reml` or `semidefinite` → `estimates`.
"""
