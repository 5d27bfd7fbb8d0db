"""`mlsem port`: an R script or an Mplus input as a Python program."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlsem.cli.terminal import read_model, warnings_as_lines
from mlsem.report.files import check_output, write_whole

if TYPE_CHECKING:
    from mlsem.porting.result import Port

MPLUS = ".inp"
KINDS = {"R": "R", "mplus": "mplus"}


def add_port(commands: Any) -> None:
    """The arguments of `mlsem port`."""
    port = commands.add_parser(
        "port",
        help="translate an R script or an Mplus input to Python",
        description="Translate the R script (lavaan, lme4, clubSandwich) or Mplus input in SCRIPT "
        "to a Python program. It is parsed, never run; what has no translation stays as a comment.",
    )
    port.add_argument("script", metavar="SCRIPT", help="a file, or - for standard input")
    port.add_argument(
        "--from",
        dest="kind",
        choices=tuple(KINDS),
        help=f"the language (default: by the name, {MPLUS} is Mplus, others are R)",
    )
    port.add_argument("--out", metavar="FILE", help="write the program to a file, e.g. script.py")
    port.add_argument("--overwrite", action="store_true", help="replace the file of --out")
    port.add_argument(
        "--data",
        metavar="FILE",
        help="the table that an R script has from elsewhere (a package, readRDS), as .csv",
    )
    port.set_defaults(command="port")


def run_port(arguments: Namespace) -> int:
    if arguments.out:
        check_output(arguments.out, (arguments.script,), overwrite=arguments.overwrite)
    text = read_model(arguments.script, "script")
    with warnings_as_lines(quiet=False):
        import mlsem

        ported = mlsem.port(text, _kind(arguments), table=arguments.data)
    if arguments.out:
        write_whole(arguments.out, ported.code, overwrite=arguments.overwrite)
    else:
        print(ported.code, end="")
    _tell(ported)
    return 0


def _kind(arguments: Namespace) -> str:
    if arguments.kind is not None:
        return arguments.kind
    return "mplus" if Path(arguments.script).suffix.lower() == MPLUS else "R"


def _tell(ported: Port) -> None:
    """How much is left to do, to standard error: the program itself may go into a pipe."""
    if ported.untranslated:
        sys.stdout.flush()
        places = "place was" if ported.untranslated == 1 else "places were"
        print(
            f"{ported.untranslated} {places} not translated: comments in the program say why.",
            file=sys.stderr,
        )
