"""The front door: a model text and a data frame become a result (`fit`, `lmm`).

It may import everything but the command, the simulations and the doors to other packages.
The road of a fit, file by file, is in docs/architecture.md.
"""
