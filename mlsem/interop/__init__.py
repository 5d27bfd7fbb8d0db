"""Doors to other packages. Each package is imported only inside the functions that need it.

It may import `mlsem` itself and all but the simulations and the command.
"""
