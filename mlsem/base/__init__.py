"""What every room may use: text made fit for a terminal, what is kept between fits, an orderly end.

It imports nothing of the package.
"""
