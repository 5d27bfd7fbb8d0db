"""Measurement invariance: steps that are fitted, compared and put in words.

`steps.py` compares a step with the one before, `words.py` says what to make of it, `released.py`
what becomes of estimates without one of its equalities, `result.py` shows all of it.
"""
