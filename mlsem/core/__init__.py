"""Numbers only: no model text, no data frame.

records ← linalg ← arrow ← implied ← sample ← clusters ← evidence ← optimise ← {intercepts, slopes,
patterns} ← restricted; the engines never see each other. Notation: docs/architecture.md.
"""
