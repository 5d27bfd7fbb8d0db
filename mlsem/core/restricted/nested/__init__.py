"""Linear mixed models of three levels: rows in inner clusters (classes), these in outer ones
(schools), with random effects of both; by maximum likelihood and by REML.

`rows` has the data, `likelihood` the equations, `effects` predictions, `clusters` what robust
covariances need.
"""
