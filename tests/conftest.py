"""Lets the tests import what stands in tests/support by its bare name."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
