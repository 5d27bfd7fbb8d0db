"""Factor means and variances of many groups compared without exact invariance.

`measurement.py` reads the factors of a configural fit, `core.alignment` aligns them, `errors.py`
has the delta method, `sets.py` says which parameters are approximately invariant, `run.py` puts
these together, `result.py` shows them.
"""
