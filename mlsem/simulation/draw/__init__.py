"""New data from a model: `simulate`.

Equations: `model` and `levels`; R's random numbers in `rstream`.
"""
