"""What users of other programs type, and what there is here in its place.

`options.py` has keywords and their values. Data and sentences: nothing here knows a fit. May import
`errors` and `base`.
"""
