"""Restricted maximum likelihood (REML): the fixed effects integrated out.

It may import all engines.
Equations: `general` for every linear mean, `components` for linear mixed models.
"""
