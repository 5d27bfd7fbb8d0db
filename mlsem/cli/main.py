"""The command `mlsem`: fit a model, look at its parameter table, see a demo, run a study.

Exit codes: 0 fine, 1 an error in the model, the data or the estimation, 2 wrong usage,
3 the optimiser did not converge (the estimates are printed all the same).
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from mlsem.base.display import sentences
from mlsem.errors import MlsemError, OptionError, OptionValueError

if TYPE_CHECKING:
    from mlsem.results.result import FitResult

# Everything heavy is imported where it is used, so that `mlsem --help` is quick.

SEPARATORS = {".csv": ",", ".tsv": "\t"}
ARGUMENTS = {
    "cluster": "cluster",
    "estimator": "estimator",
    "se": "se",
    "se_cluster": "se-cluster",
    "test": "test",
    "df": "df",
    "missing": "missing",
    "max_iter": "max-iter",
    "starts": "starts",
    "seed": "seed",
    "n_jobs": "jobs",
    "file": "out",
}
SETTINGS = ("cluster", "estimator", "se", "se_cluster", "test", "df")
OK, FAILED, USAGE, NOT_CONVERGED, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 3, 130, 141


class ModelFileError(MlsemError):
    """The model file cannot be read."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    _never_fail_to_print()
    arguments = _parser().parse_args(argv)
    try:
        code = arguments.run(arguments)
        sys.stdout.flush()
    except (OptionError, OptionValueError) as error:
        return _complain(error, USAGE)
    except (MlsemError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            return _pipe_closed()
        return _complain(error, FAILED)
    except KeyboardInterrupt:
        return INTERRUPTED
    return code


# --- arguments --------------------------------------------------------------------------------


class _ArgumentParser(argparse.ArgumentParser):
    """Complaints that quote an argument show it as errors do."""

    def error(self, message: str) -> NoReturn:
        super().error(sentences(message))


def _parser() -> argparse.ArgumentParser:
    parser = _ArgumentParser(
        prog="mlsem", description="Two-level structural equation models in lavaan's syntax."
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_fit(commands)
    _add_check(commands)
    demo = commands.add_parser("demo", help="fit the example that comes with mlsem")
    demo.set_defaults(run=_demo)
    _add_study(commands)
    return parser


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
    fit.add_argument(
        "data",
        metavar="DATA",
        help="a table: .csv (also with semicolons), .tsv, .parquet, .dta or .sav",
    )
    fit.add_argument("--cluster", metavar="COLUMN", help="the column of cluster ids")
    fit.add_argument("--estimator", metavar="NAME", help="ML (default) or MLR")
    fit.add_argument("--se", metavar="KIND", help="standard, MLR, CR0 to CR3 (CR2: few clusters)")
    fit.add_argument("--se-cluster", metavar="COLUMN", help="coarser clusters of robust errors")
    fit.add_argument("--test", metavar="NAME", help="t (default with CR0 to CR3) or z")
    fit.add_argument("--df", metavar="NAME", help="satterthwaite, kenward-roger (mixed models)")
    fit.add_argument("--missing", metavar="HOW", help="listwise (default), error, fiml or fiml.x")
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
    fit.add_argument("--level", type=float, metavar="P", help="print intervals, of this level")
    fit.add_argument(
        "--ci",
        choices=("wald", "profile"),
        default="wald",
        help="kind of intervals (default wald; profile: for variances between few clusters)",
    )
    fit.add_argument("--max-iter", type=int, metavar="N", help="most iterations")
    fit.add_argument("--starts", type=int, metavar="N", help="random starts beside the usual one")
    fit.add_argument("--seed", type=int, metavar="S", help="seed of the random starts")
    fit.add_argument("--digits", type=int, default=3, metavar="N", help="decimals (default 3)")
    fit.add_argument("--json", action="store_true", help="print one JSON object, no summary")
    fit.add_argument("--out", metavar="FILE", help="write the estimates to a .csv or .tsv file")
    fit.add_argument("--overwrite", action="store_true", help="replace the file of --out")
    fit.add_argument("--quiet", action="store_true", help="print no summary and no warnings")
    fit.set_defaults(run=_fit)


def _add_check(commands: Any) -> None:
    check = commands.add_parser(
        "check",
        help="show the parameter table of a model",
        description="Parse and specify the model in MODEL and show its parameter table.",
    )
    check.add_argument("model", metavar="MODEL", help="a file, or - for standard input")
    check.add_argument("data", metavar="DATA", nargs="?", help="a table whose columns it will use")
    check.add_argument(
        "--std-lv", action="store_true", help="fix variances of latent variables to 1"
    )
    check.add_argument("--no-fixed-x", action="store_true", help="model the covariates as well")
    check.set_defaults(run=_check)


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
    study.set_defaults(run=_study)


def _centring(text: str) -> dict[str, str]:
    """`x1=cluster,w1=grand` as a mapping."""
    centring = {}
    for part in text.split(","):
        name, equals, how = part.rpartition("=")
        if not (equals and name.strip() and how.strip()):
            raise argparse.ArgumentTypeError(f"{part!r} is not of the form NAME=HOW")
        centring[name.strip()] = how.strip()
    return centring


# --- mlsem fit --------------------------------------------------------------------------------


def _fit(arguments: argparse.Namespace) -> int:
    _check_values(arguments)
    text = _read_model(arguments.model)
    with _warnings_as_lines(arguments.quiet) as caught:
        import mlsem
        from mlsem.data.table.files import read_table

        result = mlsem.fit(text, read_table(arguments.data), **_fit_options(arguments))
        try:
            if arguments.out:
                _write_estimates(result, arguments)
        finally:  # a full disk does not take the results along
            _print_fit(result, arguments, caught)
    return OK if result.converged else NOT_CONVERGED


def _print_fit(
    result: FitResult, arguments: argparse.Namespace, caught: list[warnings.WarningMessage]
) -> None:
    if arguments.json:
        from mlsem.cli.output import json_text

        print(json_text(result, _level(arguments), arguments.ci, caught))
    elif not arguments.quiet:
        summary = result.summary(arguments.level, arguments.ci)
        print(summary.to_text(arguments.digits), end="")


def _check_values(arguments: argparse.Namespace) -> None:
    if arguments.level is not None and not 0 < arguments.level < 1:
        raise OptionValueError(f"--level {arguments.level:g}: it must lie between 0 and 1")
    if not 0 <= arguments.digits <= 15:
        raise OptionValueError(f"--digits {arguments.digits}: choose 0 to 15")
    if arguments.out:
        from mlsem.cli.files import check_output

        if Path(arguments.out).suffix.lower() not in SEPARATORS:
            raise OptionValueError(f"--out {arguments.out}: the name must end in .csv or .tsv")
        inputs = (arguments.model, arguments.data)
        check_output(arguments.out, inputs, overwrite=arguments.overwrite)


def _fit_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The keywords of `mlsem.fit` that were given; its own defaults hold for the rest."""
    options: dict[str, Any] = {
        name: value
        for name in (*SETTINGS, "missing", "max_iter", "starts", "seed")
        if (value := getattr(arguments, name)) is not None
    }
    if arguments.center:
        options["center"] = {name: how for part in arguments.center for name, how in part.items()}
    return options | _model_options(arguments)


def _model_options(arguments: argparse.Namespace) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if arguments.std_lv:
        options["std_lv"] = True
    if arguments.no_fixed_x:
        options["fixed_x"] = False
    return options


def _level(arguments: argparse.Namespace) -> float:
    return 0.95 if arguments.level is None else arguments.level


def _write_estimates(result: FitResult, arguments: argparse.Namespace) -> None:
    from mlsem.cli.files import separated, write_whole

    frame = result.parameter_estimates(_level(arguments), arguments.ci)
    text = separated(frame, SEPARATORS[Path(arguments.out).suffix.lower()])
    write_whole(arguments.out, text, overwrite=arguments.overwrite)


# --- mlsem check, demo, study ------------------------------------------------------------------


def _check(arguments: argparse.Namespace) -> int:
    text = _read_model(arguments.model)
    with _warnings_as_lines(quiet=False):
        from mlsem.api.fit import check
        from mlsem.cli.output import check_text
        from mlsem.data.table.files import read_table

        data = read_table(arguments.data) if arguments.data else None
        table = check(text, data, **_model_options(arguments))
        print(check_text(table), end="")
    return OK


def _demo(_: argparse.Namespace) -> int:
    with _warnings_as_lines(quiet=False):
        import mlsem
        from mlsem.cli.output import demo_text
        from mlsem.data.table.examples import example_model, load_example

        robust = mlsem.fit(
            example_model("article"), load_example("article"), cluster="id", estimator="MLR"
        )
        print(example_model("article"))
        print(robust.summary())
        print("Standard errors side by side:\n")
        print(demo_text(robust.with_se("standard"), robust), end="")
    return OK if robust.converged else NOT_CONVERGED


def _study(arguments: argparse.Namespace) -> int:
    with _warnings_as_lines(quiet=False):
        from mlsem.simulation.article.study import article_study

        study = article_study(arguments.replications, n_jobs=arguments.jobs, file=arguments.out)
        print(study, end="")
    return OK


# --- files, messages, pipes -------------------------------------------------------------------


def _read_model(path: str) -> str:
    """The model text in a file, or on standard input for `-`."""
    raw = _standard_input() if path == "-" else _model_file(path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ModelFileError(f"{path} is not a text file in UTF-8; a model is plain text.")
    return text


def _standard_input() -> bytes:
    buffer = getattr(sys.stdin, "buffer", None)
    return buffer.read() if buffer is not None else sys.stdin.read().encode()


def _model_file(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        hint = ""
        if "~" in path or "\n" in path:
            hint = " Give the name of a file, or - and the model on standard input."
        raise ModelFileError(f"there is no model file {path!r}.{hint}") from None
    except IsADirectoryError:
        raise ModelFileError(f"{path} is a folder, not a model file.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelFileError(f"the model file {path!r} cannot be read: {reason}.") from None


@contextmanager
def _warnings_as_lines(quiet: bool) -> Iterator[list[warnings.WarningMessage]]:
    """Collect warnings and, at the end, print each once to standard error."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield caught
        finally:
            if not quiet:
                sys.stdout.flush()
                for message in dict.fromkeys(str(each.message) for each in caught):
                    print(f"warning: {_as_arguments(message)}", file=sys.stderr)


def _complain(error: Exception, code: int) -> int:
    print(f"error: {_as_arguments(str(error))}", file=sys.stderr)
    return code


def _as_arguments(message: str) -> str:
    """The message as a terminal takes it, the command's arguments in place of Python's keywords."""

    def argument(match: re.Match[str]) -> str:
        name, value = match[1], (match[2] or "").strip("\"'")
        value = "COLUMN" if value == "..." else value
        return f"--{ARGUMENTS[name]} {value}".rstrip()

    keyword = rf"(?<![\w.(\[])({'|'.join(ARGUMENTS)})=(?![~=])"  # no operators of the model
    return re.sub(rf"{keyword}(\"[^\"]*\"|'[^']*'|-?\w+|)", argument, sentences(message))


def _pipe_closed() -> int:
    """Whoever read our output has enough; say no more, also not at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return PIPE_CLOSED


def _never_fail_to_print() -> None:
    """On a terminal that lacks a character, show its code instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
