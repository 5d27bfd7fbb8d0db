"""Linear mixed models of three levels: their result, predictions of rows, shares of variance.

It may import what `results` may, and `results` itself.
"""
