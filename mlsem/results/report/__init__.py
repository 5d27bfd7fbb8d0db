"""The report of a fit: what a fit can say, gathered as the sections of a page (`report.page`).

`build` decides what stands in it and in which order; the other files gather a section each. A part
that a fit does not have says so in a sentence, and never takes the others along.
"""
