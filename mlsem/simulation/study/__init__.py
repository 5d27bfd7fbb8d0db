"""Monte Carlo studies: `study`, its methods, its file of records and its tables.

It may import what the simulation may. Equations of the performance measures: `performance`
(Morris, White & Crowther, 2019).
"""
