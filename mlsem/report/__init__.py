"""Plain columns become text, HTML and figures.

It may import the errors only, and knows no arrays; matplotlib is imported here when used.
"""
