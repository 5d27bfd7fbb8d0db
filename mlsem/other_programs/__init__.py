"""What users of other programs type, and what there is here in its place.

`options.py` has keywords of `fit` and their values, `arguments.py` those of methods, `functions.py`
functions and attributes (with `*_names.py`, by program): data and sentences. `answering.py` has the
mixins and the decorator by which classes and functions answer with them. Nothing here knows a fit.
May import `errors` and `base`.
"""
