"""Moments as an object of its own, that is merged, saved and fitted to.

May import `data/moments` and what that may, and `report` for files that are written whole.
"""
