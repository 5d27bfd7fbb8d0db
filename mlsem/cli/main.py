"""The command `mlsem`: fit a model, look at its parameter table, translate a script, and so on.

Exit codes: 0 fine, 1 an error in the model, the data or the estimation, 2 wrong usage,
3 the optimiser did not converge (the estimates are printed all the same).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from mlsem.cli import commands
from mlsem.cli.commands import NOT_CONVERGED, OK
from mlsem.cli.parser import make_parser
from mlsem.cli.planning import run_plan
from mlsem.cli.porting import run_port
from mlsem.cli.terminal import complain, never_fail_to_print, pipe_closed
from mlsem.errors import MlsemError, OptionError, OptionValueError

FAILED, USAGE, INTERRUPTED = 1, 2, 130
COMMANDS = {
    "fit": commands.run_fit,
    "lmm": commands.run_lmm,
    "check": commands.run_check,
    "invariance": commands.run_invariance,
    "examples": commands.run_examples,
    "demo": commands.run_demo,
    "study": commands.run_study,
    "plan": run_plan,
    "port": run_port,
}
__all__ = ["FAILED", "INTERRUPTED", "NOT_CONVERGED", "OK", "USAGE", "main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    never_fail_to_print()
    arguments = make_parser().parse_args(argv)
    try:
        code = COMMANDS[arguments.command](arguments)
        sys.stdout.flush()
    except (OptionError, OptionValueError) as error:
        return complain(error, USAGE)
    except (MlsemError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            return pipe_closed()
        return complain(error, FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    return code
