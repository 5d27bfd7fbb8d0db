"""Generalised linear models and estimating equations: what is asked, what was estimated."""
