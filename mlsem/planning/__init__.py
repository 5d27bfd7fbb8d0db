"""What a cluster-randomised trial can find, before there are data: `plan`.

A `Trial` says what it is, `precision` how precisely it estimates the effect, `power` how often it
finds it; `simulated` asks data in place of formulas.
"""
