"""What a trial with clusters can find, before there are data: `plan`.

A `Trial` of clusters, or a `Multisite` one of their rows, says what it is and how precisely it
estimates the effect, `power` how often it finds it; `simulated` asks data in place of formulas.
"""
