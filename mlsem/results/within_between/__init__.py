"""Fixed effects, random effects, contextual and within–between models of the same rows.

`lines.py` says what each coefficient is an effect of, `result.py` what is asked of the models,
`summary.py` shows them side by side.
"""
