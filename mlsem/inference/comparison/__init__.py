"""`compare_se`: do model-based and robust standard errors differ by more than chance?

It may import `covariance`, `estimated`, the report and the parallel work; none of its five
neighbours. Equations: `Band` in `result`.
"""
