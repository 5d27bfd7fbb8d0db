"""Steps of measurement invariance: what a step's equalities cost, one by one and together.

`released.py` has the model of a step with these equalities given up, at its own estimates, and the
score tests; `cutoffs.py` what published rules say of changes in indices of fit. Models are compared
by their implied moments, not by their parameters: a step may free factor means that the one before
fixes, because intercepts set them there.
"""
