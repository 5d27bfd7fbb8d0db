"""What a model would gain by other parameters: modification indices and score tests.

May import `inference.covariance` and what stands below it.
"""
