"""What a model text means: the parameter table, its pattern, its labels and constraints.

It may import the syntax and the core; no data frame.
Equations: RAM patterns in `pattern`; the defaults of lavaan in `defaults`.
"""
