"""The arguments of the command: what may be written after `mlsem`, and what `--help` says."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from mlsem.base.display import sentences
from mlsem.cli.planning import add_plan
from mlsem.cli.porting import add_port

FORMATS = ("text", "markdown", "latex", "html", "json")


class _ArgumentParser(argparse.ArgumentParser):
    """Complaints that quote an argument show it as errors do."""

    def error(self, message: str) -> NoReturn:
        super().error(sentences(message))


def make_parser() -> argparse.ArgumentParser:
    whole = _ArgumentParser(
        prog="mlsem", description="Two-level structural equation models in lavaan's syntax."
    )
    whole.add_argument("--version", action=_Version)
    commands = whole.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_fit(commands)
    _add_lmm(commands)
    _add_check(commands)
    _add_invariance(commands)
    _add_examples(commands)
    demo = commands.add_parser("demo", help="fit the example that comes with mlsem")
    demo.set_defaults(command="demo")
    _add_study(commands)
    add_plan(commands)
    add_port(commands)
    return whole


class _Version(argparse.Action):
    """`--version`, looked up only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and stop")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import mlsem

        print(f"mlsem {mlsem.__version__}")
        parser.exit()


def _add_fit(commands: Any) -> None:
    fit = commands.add_parser(
        "fit",
        help="fit a model and print its summary",
        description="Fit the model in MODEL to the table in DATA and print the summary.",
        epilog="Exit codes: 0 fine, 1 error, 2 wrong usage, 3 did not converge.",
    )
    fit.add_argument(
        "model", metavar="MODEL", help="a file with the model, or - for standard input"
    )
    _add_data(fit)
    _add_cluster(fit)
    _add_groups(fit)
    fit.add_argument(
        "--group-equal",
        action="append",
        metavar="KINDS",
        help="parameters that are equal in all groups: loadings, intercepts, ...; may be repeated "
        "or comma-separated",
    )
    fit.add_argument(
        "--group-partial",
        action="append",
        metavar="NAME",
        help="a parameter that differs nevertheless, as f=~y3; may be repeated or comma-separated",
    )
    fit.add_argument("--estimator", metavar="NAME", help="ML (default) or MLR")
    _add_errors(fit)
    fit.add_argument("--missing", metavar="HOW", help="listwise (default), error, fiml or fiml.x")
    fit.add_argument(
        "--auxiliary",
        action="append",
        metavar="NAME",
        help="with fiml, a column beside the model that tells of missing values; may be repeated "
        "or comma-separated",
    )
    fit.add_argument(
        "--center",
        action="append",
        type=_centring,
        metavar="NAME=HOW",
        help="centre a column first: x1=cluster or w1=grand; may be repeated or comma-separated",
    )
    fit.add_argument("--std-lv", action="store_true", help="fix variances of latent variables to 1")
    fit.add_argument(
        "--no-fixed-x", action="store_true", help="moments of covariates are parameters"
    )
    fit.add_argument("--fit-measures", action="store_true", help="print tests of fit and indices")
    fit.add_argument("--standardized", action="store_true", help="add standardized estimates")
    fit.add_argument("--rsquare", action="store_true", help="add R-squared of each level")
    fit.add_argument(
        "--modification-indices",
        action="store_true",
        help="print score tests of what the model leaves out, largest first",
    )
    fit.add_argument(
        "--minimum", type=float, metavar="MI", help="least modification index (default 0)"
    )
    _add_search(fit)
    _add_printed(fit)
    fit.set_defaults(command="fit")


def _add_lmm(commands: Any) -> None:
    lmm = commands.add_parser(
        "lmm",
        help="fit a linear mixed model in lme4's language",
        description="Fit the linear mixed model of FORMULA, such as 'y ~ x + (x | id)', to the "
        "table in DATA by restricted maximum likelihood, and print the summary.",
        epilog="Exit codes: 0 fine, 1 error, 2 wrong usage, 3 did not converge.",
    )
    lmm.add_argument("formula", metavar="FORMULA", help="lme4's, in quotation marks")
    _add_data(lmm)
    lmm.add_argument("--ml", action="store_true", help="maximum likelihood in place of REML")
    lmm.add_argument(
        "--residual",
        type=_names,
        metavar="COLUMNS",
        help="groups with residual variances of their own; of several columns, comma-separated, "
        "their cells",
    )
    _add_errors(lmm)
    lmm.add_argument("--missing", metavar="HOW", help="listwise (default) or error")
    _add_search(lmm)
    _add_printed(lmm)
    lmm.set_defaults(
        command="lmm",
        fit_measures=False,
        standardized=False,
        rsquare=False,
        modification_indices=False,
        minimum=None,
    )


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cluster",
        type=_clusters,
        metavar="COLUMN",
        help="the column of cluster ids; of three levels both, school,class",
    )


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "data",
        metavar="DATA",
        help="a table: .csv (also with semicolons), .tsv, .txt, these also packed as .csv.gz or "
        ".csv.zip, .xlsx, .parquet, .dta or .sav",
    )


def _add_errors(parser: argparse.ArgumentParser) -> None:
    """Standard errors and tests."""
    parser.add_argument(
        "--se", metavar="KIND", help="standard, MLR, CR0 to CR3 (CR2: few clusters)"
    )
    parser.add_argument("--se-cluster", metavar="COLUMN", help="coarser clusters of robust errors")
    parser.add_argument(
        "--weights",
        type=_weights,
        metavar="LEVEL=COLUMN",
        help="sampling weights: total=w_stu,level2=w_sch (or level1); a column for one level",
    )
    parser.add_argument(
        "--weight-scaling", metavar="NAME", help="cluster (the default), ecluster, unscaled, gk"
    )
    parser.add_argument(
        "--replicates",
        type=_replicates,
        metavar="METHOD=COLUMNS",
        help="replicate weights: fay=W_FSTURWT{} (k = 0.5; or fay:0.3=...), brr=..., jk1=..., "
        "jk2=JKZONE,JKREP (jk2:both=...)",
    )
    parser.add_argument("--strata", metavar="COLUMN", help="strata that clusters were drawn from")
    parser.add_argument("--test", metavar="NAME", help="t (default with CR0 to CR3) or z")
    parser.add_argument("--df", metavar="NAME", help="satterthwaite, kenward-roger (mixed models)")
    parser.add_argument(
        "--information", metavar="NAME", help="expected or observed, which errors are made of"
    )


def _add_search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--max-iter", type=int, metavar="N", help="most iterations")
    parser.add_argument(
        "--starts", type=int, metavar="N", help="random starts beside the usual one"
    )
    parser.add_argument("--seed", type=int, metavar="S", help="seed of the random starts")


def _add_printed(parser: argparse.ArgumentParser) -> None:
    """What is printed of a fit, and what is written."""
    parser.add_argument("--level", type=float, metavar="P", help="print intervals, of this level")
    parser.add_argument(
        "--ci",
        choices=("wald", "profile"),
        default="wald",
        help="kind of intervals (default wald; profile: for variances between few clusters)",
    )
    parser.add_argument("--digits", type=int, default=3, metavar="N", help="decimals (default 3)")
    _add_format(parser)
    parser.add_argument("--out", metavar="FILE", help="write the estimates to a .csv or .tsv file")
    parser.add_argument(
        "--report", metavar="FILE", help="write a report of the fit, an .html file, with figures"
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the files of --out and --report"
    )
    parser.add_argument("--quiet", action="store_true", help="print no summary and no warnings")


def _add_format(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--format", choices=FORMATS, default="text", help="what is printed is written so"
    )
    parser.add_argument(
        "--json", action="store_const", const="json", dest="format", help="short for --format json"
    )


def _add_groups(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--group", metavar="COLUMN", help="the column of groups of several")
    parser.add_argument(
        "--group-label",
        action="append",
        metavar="LABELS",
        help="the groups that are meant, in this order; may be repeated or comma-separated",
    )


def _add_check(commands: Any) -> None:
    check = commands.add_parser(
        "check",
        help="show the parameter table of a model",
        description="Parse and specify the model in MODEL and show its parameter table.",
    )
    check.add_argument("model", metavar="MODEL", help="a file, or - for standard input")
    check.add_argument("data", metavar="DATA", nargs="?", help="a table whose columns it will use")
    _add_cluster(check)
    _add_groups(check)
    check.add_argument(
        "--std-lv", action="store_true", help="fix variances of latent variables to 1"
    )
    check.add_argument("--no-fixed-x", action="store_true", help="model the covariates as well")
    _add_format(check)
    check.set_defaults(command="check")


def _add_invariance(commands: Any) -> None:
    steps = commands.add_parser(
        "invariance",
        help="measurement invariance across groups, step by step",
        description="Fit the model in MODEL to the groups of the table in DATA with more and more "
        "equal, and print what tests and indices of fit say of each step.",
        epilog="Exit codes: 0 fine, 1 error, 2 wrong usage, 3 a step did not converge.",
    )
    steps.add_argument("model", metavar="MODEL", help="a file, or - for standard input")
    _add_data(steps)
    _add_groups(steps)
    steps.add_argument("--cluster", metavar="COLUMN", help="the column of cluster ids")
    steps.add_argument(
        "--steps",
        action="append",
        metavar="NAMES",
        help="configural,metric,scalar,strict,means (default), cross-level, lv.variances, ...",
    )
    steps.add_argument(
        "--partial",
        action="append",
        metavar="NAME",
        help="a parameter that stays free, as f=~y3; may be repeated or comma-separated",
    )
    steps.add_argument(
        "--cross-level", action="store_true", help="a step with loadings equal over levels"
    )
    steps.add_argument("--alignment", action="store_true", help="align the factors, too")
    steps.add_argument(
        "--worst", action="store_true", help="list the equalities of each step, the worst first"
    )
    steps.add_argument("--estimator", metavar="NAME", help="ML (default) or MLR")
    steps.add_argument("--se", metavar="KIND", help="standard, MLR, CR0 to CR3 (CR2: few clusters)")
    steps.add_argument("--missing", metavar="HOW", help="listwise (default), error, fiml or fiml.x")
    steps.add_argument(
        "--std-lv", action="store_true", help="fix variances of latent variables to 1"
    )
    _add_format(steps)
    steps.set_defaults(command="invariance", no_fixed_x=False)


def _add_examples(commands: Any) -> None:
    examples = commands.add_parser(
        "examples",
        help="list the data sets that come with mlsem, or print one",
        description="List the data sets that come with mlsem; with NAME print that one as .csv.",
    )
    examples.add_argument("name", metavar="NAME", nargs="?", help="the data set to print")
    examples.add_argument("--model", action="store_true", help="print its model in place of data")
    examples.set_defaults(command="examples")


def _add_study(commands: Any) -> None:
    study = commands.add_parser(
        "study",
        help="run a simulation study that was published, and compare",
        description="Run the simulation of Huang & Zhang (2025) draw by draw, and show its "
        "results beside the published ones.",
    )
    study.add_argument("study", metavar="STUDY", choices=("article",), help="article")
    study.add_argument(
        "--replications", type=int, default=1000, metavar="N", help="how many (default 1000)"
    )
    study.add_argument(
        "--jobs", type=int, default=1, metavar="N", help="processes, -1 for all cores (default 1)"
    )
    study.add_argument(
        "--out",
        metavar="FILE",
        help="write replications there as JSON lines; run again to finish what was interrupted",
    )
    study.set_defaults(command="study")


def _clusters(text: str) -> str | list[str]:
    return text.split(",") if "," in text else text


def _centring(text: str) -> dict[str, str]:
    """`x1=cluster,w1=grand` as a mapping."""
    return _mapping(text, "NAME=HOW")


def _names(text: str) -> list[str]:
    """Columns, comma-separated."""
    return [name.strip() for name in text.split(",")]


def _weights(text: str) -> str | dict[str, str]:
    """`total=w_stu,level2=w_sch` as a mapping; a column alone as it is."""
    return _mapping(text, "LEVEL=COLUMN") if "=" in text else text


def _replicates(text: str) -> Any:
    """`fay:0.5=W_FSTURWT{}` as the method with its columns."""
    from mlsem.cli.replicates import read_replicates

    return read_replicates(text)


def _mapping(text: str, form: str) -> dict[str, str]:
    found = {}
    for part in text.split(","):
        name, equals, value = part.rpartition("=")
        if not (equals and name.strip() and value.strip()):
            raise argparse.ArgumentTypeError(f"{part!r} is not of the form {form}")
        found[name.strip()] = value.strip()
    return found
