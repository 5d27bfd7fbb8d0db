"""Fits to several data sets, by plausible values or multiple imputations, as one result.

`gathered` checks the fits and joins them, `numbers` pools what is no parameter, `ratio` has the
likelihood-ratio tests, `result` is the façade. Equations: `inference/pooling`.
"""
