"""Means and covariances that the parameters imply, level by level, and their derivatives.

It may import records and linear algebra of the core, nothing else.
Equations: RAM (McArdle & McDonald, 1984) in `pattern`, no structure at all in `unstructured`; the
chain rule in `derivatives`.
"""
