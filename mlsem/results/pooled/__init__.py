"""Fits to several data sets, by plausible values or multiple imputations, as one result.

`gathered` checks the fits and joins them, `common` is what all kinds of them share: `result` is of
structural equation models, `mixed` and `nested` of `lmm`, `generalized` of `glm` and `gee`, and
`kinds` chooses.
`numbers` pools what is no parameter, `joint` has joint tests. Equations: `inference/pooling`.
"""
