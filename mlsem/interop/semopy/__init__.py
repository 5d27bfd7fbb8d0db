"""From semopy's language to lavaan's, and a fitted level back to semopy."""

from mlsem.interop.semopy.bridge import from_semopy, to_semopy

__all__ = ["from_semopy", "to_semopy"]
