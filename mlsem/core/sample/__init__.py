"""What is read from the data: cluster moments, moments by cluster size, draws of new ones.

It may import records, linear algebra and implied moments of the core.
Equations: `moments`, `shapes`, `saturated`, `draws`.
"""
