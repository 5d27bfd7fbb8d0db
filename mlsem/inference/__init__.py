"""What estimates are worth: covariances, tests, intervals, bootstraps, diagnostics.

`covariance` first, `estimated` (what all need of a fit), then six rooms that never see each other.
It may import the estimation and all below it, the report and the parallel work.
"""
