"""New data from a model: `simulate`.

It may import what the simulation may. Equations: `model` and `levels`; R's random numbers in
`rstream`.
"""
