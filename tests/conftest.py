"""Lets the tests import what stands in tests/support by its bare name, and check array shapes."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))

if os.environ.get("MLSEM_SHAPES") != "0":
    import shapes

    shapes.install()
