"""Several analyses of one data set, by plausible values or multiple imputations, as one.

It may import `covariance`, `estimated`, the report and the parallel work; none of its neighbours.
`rules` has Rubin's rules and degrees of freedom, `joint` D1 to D4, `reference` the pooled
covariance as other tests and tables take one.
"""
