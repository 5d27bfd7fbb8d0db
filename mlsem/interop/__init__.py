"""Doors to other packages. Each package is imported only inside the functions that need it."""
