"""Data sets: `draw` makes them, `study` analyses many, `article` repeats a published study.

It may import `mlsem` itself and all but the command; but for the command, no room imports it.
Equations: `draw/model`, `draw/levels`, `study/performance`.
"""
