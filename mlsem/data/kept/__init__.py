"""Moments as an object of its own, that is merged, saved and fitted to.

May import `data/moments` and what that may, and `report` for files that are written whole.
"""


def are_moments(data: object) -> bool:
    """Whether data are moments in place of rows, whose module is there then."""
    return type(data).__module__ == "mlsem.data.kept.moments"
