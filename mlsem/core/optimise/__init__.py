"""Searches for a maximum, and the coordinates that they run in.

It may import implied moments and samples; it knows an objective by its interface only.
Equations: `maximise` (Fisher scoring), `constrained`, `factored` (faces), `coordinates`.
"""
