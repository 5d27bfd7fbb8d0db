"""What a fit gives: `FitResult`, its tables and summary, ICCs, R², random effects.

It may import the inference and all below it.
Equations: `standardized`, `icc`, `variances` and `r_squared`; of random effects
`estimation/posterior`.
"""
