"""`mlsem plan`: what a trial with clusters can find, or how large it must be."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from pathlib import Path
from typing import Any

from mlsem.cli.terminal import warnings_as_lines
from mlsem.errors import OptionValueError
from mlsem.report.files import check_output

NUMBERS = (
    ("clusters", int, "N", "how many clusters are randomised"),
    ("size", float, "N", "mean number of rows of a cluster"),
    ("effect", float, "D", "in SD of the outcome; of a binary one the difference of risks"),
    ("power", float, "P", "default 0.8, where it is not what is wanted"),
    ("cv", float, "CV", "SD of the sizes divided by their mean (default 0)"),
    ("covariates", int, "N", "covariates of clusters"),
    ("subclusters", int, "N", "of each cluster, such as classes of a school: three levels"),
    ("control", float, "RISK", "the risk without treatment: the outcome is binary"),
    ("effect_sd", float, "D", "of the effect between clusters, with --randomised rows"),
    ("level", float, "P", "1 minus the level of significance (default 0.95)"),
    ("replications", int, "N", "of a simulation (default 1000)"),
    ("seed", int, "S", "of a simulation (default 1)"),
)
FIGURES = (".png", ".pdf", ".svg")


def add_plan(commands: Any) -> None:
    """The arguments of `mlsem plan`."""
    plan = commands.add_parser(
        "plan",
        help="plan a trial with clusters",
        description="Of --clusters, --size, --effect and --power leave out the one that is wanted: "
        "the smallest effect, the power, the number of clusters or their size.",
        epilog="For example: mlsem plan --clusters 12 --size 20 --icc 0.1 --r2 0.3,0.5",
    )
    plan.add_argument(
        "--icc",
        type=_shares,
        required=True,
        metavar="RHO",
        help="intraclass correlation; with subclusters two, as 0.05,0.1",
    )
    plan.add_argument(
        "--r2", type=_shares, metavar="R2,R2", help="explained of rows and of clusters, as 0.3,0.5"
    )
    plan.add_argument(
        "--treated",
        type=_treated,
        metavar="P",
        help="share or number of the treated clusters, or share of their rows",
    )
    for name, kind, metavar, words in NUMBERS:
        plan.add_argument(f"--{name.replace('_', '-')}", type=kind, metavar=metavar, help=words)
    plan.add_argument(
        "--randomised", choices=("clusters", "rows"), help="what is treated (default clusters)"
    )
    plan.add_argument("--by", choices=("formula", "simulation"), help="default: what is called for")
    plan.add_argument("--jobs", type=int, default=1, metavar="N", help="processes of a simulation")
    plan.add_argument("--figure", metavar="FILE", help="draw the power: .png, .pdf or .svg")
    plan.add_argument("--overwrite", action="store_true", help="replace the file of --figure")
    plan.set_defaults(command="plan")


def run_plan(arguments: Namespace) -> int:
    if arguments.figure:
        if Path(arguments.figure).suffix.lower() not in FIGURES:
            raise OptionValueError(
                f"--figure {arguments.figure}: the name must end in .png, .pdf or .svg"
            )
        check_output(arguments.figure, (), overwrite=arguments.overwrite, argument="--figure")
    names = ("icc", "r2", "treated", "randomised", "by", *(name for name, *_ in NUMBERS))
    given = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    with warnings_as_lines(quiet=False):
        import mlsem

        found = mlsem.plan(**given, n_jobs=arguments.jobs)
        print(found, end="")
        if arguments.figure:
            found.plot().savefig(arguments.figure)
    return 0


def _shares(text: str) -> float | tuple[float, ...]:
    """`0.1` as a number, `0.05,0.1` as two."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is neither a number nor several with commas") from None
    return found[0] if len(found) == 1 else found


def _treated(text: str) -> float:
    """`3` as a number of clusters, `0.5` as a share."""
    try:
        return int(text) if text.isdigit() else float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is no number") from None
