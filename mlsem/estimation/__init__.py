"""A model met with its data is estimated: starts, searches, bounds, REML.

It may import the model, the data, the core and the checks of arguments.
The road: `problem` → `estimator` → `search` → `ml`, `reml` or `semidefinite` → `estimates`.
"""
