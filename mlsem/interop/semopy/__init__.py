"""From semopy's language to lavaan's, and a fit back to semopy: as its model, or in its tables."""

from mlsem.interop.semopy.bridge import from_semopy, inspect, to_semopy
from mlsem.interop.semopy.results import calc_stats

__all__ = ["calc_stats", "from_semopy", "inspect", "to_semopy"]
