"""`python -m mlsem` is the command `mlsem`."""

import sys

from mlsem.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
