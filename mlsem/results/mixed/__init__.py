"""What a linear mixed model is asked under lme4's and emmeans' names: its result, its summary,
predictions of rows, marginal means and contrasts.

It may import what `results` may, and `results` itself.
"""
