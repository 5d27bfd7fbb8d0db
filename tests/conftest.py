"""Lets the tests import what stands in tests/support by its bare name."""

import sys
from pathlib import Path

for room in ("support", "core", "estimation", "inference"):
    sys.path.insert(0, str(Path(__file__).parent / room))
