"""What every room may use: text made fit for a terminal, and what is kept between fits.

It imports nothing of the package.
"""
