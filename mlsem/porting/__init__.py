"""Programs of other packages become Python: R scripts (lavaan, lme4, clubSandwich), Mplus inputs.

Texts are parsed, never run. `result.py` has what comes out, a `Port`. May import `errors`,
`report`, `syntax`, `other_programs` and `base`.
"""
