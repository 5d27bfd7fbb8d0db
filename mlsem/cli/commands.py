"""What the commands do. Each takes its arguments and returns an exit code."""

from __future__ import annotations

import sys
import warnings
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlsem.cli.terminal import read_model, warnings_as_lines
from mlsem.errors import OptionValueError

if TYPE_CHECKING:
    import pandas as pd

    from mlsem.data.frames.records import AnyFrame
    from mlsem.results.invariance.result import Invariance
    from mlsem.results.result import FitResult

# Everything heavy is imported where it is used, so that `mlsem --help` is quick.

SEPARATORS = {".csv": ",", ".tsv": "\t"}
MIXED_SETTINGS = (
    *("se", "se_cluster", "test", "df", "information"),
    *("weights", "weight_scaling", "strata", "replicates"),
    *("missing", "max_iter", "starts", "seed"),
)
SETTINGS = ("cluster", "estimator", *MIXED_SETTINGS)
PAGES = (".html", ".htm")
OK, NOT_CONVERGED = 0, 3


# --- mlsem fit, mlsem lmm -----------------------------------------------------------------------


def run_fit(arguments: Namespace) -> int:
    _check_values(arguments, (arguments.model, arguments.data))
    text = read_model(arguments.model)
    with warnings_as_lines(arguments.quiet) as caught:
        import mlsem
        from mlsem.data.frames.paths import rows_at

        data = rows_at(arguments.data)
        groups = _groups(data, arguments)
        result = mlsem.fit(text, data, **groups, **_fit_options(arguments))
        return _finished(result, data, arguments, caught)


def run_lmm(arguments: Namespace) -> int:
    _check_values(arguments, (arguments.data,))
    with warnings_as_lines(arguments.quiet) as caught:
        import mlsem
        from mlsem.data.frames.paths import rows_at

        data = rows_at(arguments.data)
        options = _given(arguments, "residual", *MIXED_SETTINGS)
        result = mlsem.lmm(arguments.formula, data, not arguments.ml, **options)
        if isinstance(result, mlsem.NestedResult):
            from mlsem.cli.three_levels import show_nested  # for few calls

            show_nested(result, arguments, SEPARATORS, caught)
            return OK if result.converged else NOT_CONVERGED
        return _finished(result, data, arguments, caught)


def _finished(
    result: FitResult,
    data: AnyFrame,
    arguments: Namespace,
    caught: list[warnings.WarningMessage],
) -> int:
    try:
        if arguments.out:
            _write_estimates(result, arguments)
        if arguments.report:
            _write_report(result, data, arguments)
    finally:  # a full disk does not take the results along
        _print_fit(result, arguments, caught)
    return OK if result.converged else NOT_CONVERGED


def _print_fit(
    result: FitResult, arguments: Namespace, caught: list[warnings.WarningMessage]
) -> None:
    if arguments.format == "json":
        from mlsem.cli.as_json import fit_as_json

        tables = _tables(result, arguments)
        print(fit_as_json(result, arguments, _level(arguments), tables, caught))
    elif not arguments.quiet:
        print(_summary(result, arguments), end="")


def _summary(result: FitResult, arguments: Namespace) -> str:
    from mlsem.cli.output import in_form, indices_text

    summary = result.summary(
        arguments.level, arguments.ci, fit_measures=arguments.fit_measures, **_columns(arguments)
    )
    text = in_form(summary, arguments.format, arguments.digits)
    if arguments.modification_indices:
        indices = _indices(result, arguments).to_dict("list")
        text += indices_text(indices, arguments.format, arguments.digits)
    return text


def _check_values(arguments: Namespace, inputs: tuple[str, ...]) -> None:
    if arguments.level is not None and not 0 < arguments.level < 1:
        raise OptionValueError(f"--level {arguments.level:g}: it must lie between 0 and 1")
    if not 0 <= arguments.digits <= 15:
        raise OptionValueError(f"--digits {arguments.digits}: choose 0 to 15")
    if arguments.minimum is not None and not arguments.modification_indices:
        raise OptionValueError(
            f"--minimum {arguments.minimum:g} is of --modification-indices: add it"
        )
    _check_file(arguments, "out", tuple(SEPARATORS), ".csv or .tsv", inputs)
    _check_file(arguments, "report", PAGES, ".html", inputs)


def _check_file(
    arguments: Namespace,
    name: str,
    suffixes: tuple[str, ...],
    endings: str,
    inputs: tuple[str, ...],
) -> None:
    """A file that is to be written: what it is called, and whether it may be."""
    path = getattr(arguments, name)
    if not path:
        return
    from mlsem.report.files import check_output

    if Path(path).suffix.lower() not in suffixes:
        raise OptionValueError(f"--{name} {path}: the name must end in {endings}")
    check_output(path, inputs, overwrite=arguments.overwrite, argument=f"--{name}")


def _fit_options(arguments: Namespace) -> dict[str, Any]:
    """The keywords of `mlsem.fit` that were given; its own defaults hold for the rest."""
    options = _given(arguments, *SETTINGS)
    if arguments.center:
        options["center"] = {name: how for part in arguments.center for name, how in part.items()}
    for name in ("auxiliary", "group_equal", "group_partial"):
        if getattr(arguments, name):
            options[name] = _names(getattr(arguments, name))
    return options | _model_options(arguments)


def _given(arguments: Namespace, *names: str) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(arguments, name)) is not None}


def _names(parts: list[str]) -> list[str]:
    """What is repeated or comma-separated."""
    named = [name.strip() for part in parts for name in part.split(",")]
    return [name for name in named if name]


def _groups(data: AnyFrame | None, arguments: Namespace) -> dict[str, Any]:
    """`group=` and `group_label=`, the labels as the data have them: on a command line they are
    text, in data perhaps numbers."""
    options: dict[str, Any] = {} if arguments.group is None else {"group": arguments.group}
    if arguments.group_label:
        labels: list[Any] = _names(arguments.group_label)
        if data is not None and arguments.group is not None:
            from mlsem.data.frames.taking import as_pandas
            from mlsem.data.table.groups import labels_in

            values = as_pandas(data, arguments.group)
            there = {str(label): label for label in labels_in(values, arguments.group)}
            labels = [there.get(label, label) for label in labels]
        options["group_label"] = labels
    return options


def _model_options(arguments: Namespace) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if arguments.std_lv:
        options["std_lv"] = True
    if arguments.no_fixed_x:
        options["fixed_x"] = False
    return options


def _level(arguments: Namespace) -> float:
    return 0.95 if arguments.level is None else arguments.level


def _columns(arguments: Namespace) -> dict[str, bool]:
    """What estimates have beside themselves."""
    return {"standardized": arguments.standardized, "rsquare": arguments.rsquare}


def _estimates(result: FitResult, arguments: Namespace) -> pd.DataFrame:
    return result.parameter_estimates(_level(arguments), arguments.ci, **_columns(arguments))


def _indices(result: FitResult, arguments: Namespace) -> pd.DataFrame:
    return result.modification_indices(minimum=arguments.minimum or 0.0)


def _tables(result: FitResult, arguments: Namespace) -> dict[str, Any]:
    """What was asked for, as JSON has it; may add to the warnings."""
    tables: dict[str, Any] = {"estimates": _estimates(result, arguments).to_dict("records")}
    if arguments.fit_measures:
        tables["fit_measures"] = result.fit_measures().to_dict()
    if arguments.modification_indices:
        tables["modification_indices"] = _indices(result, arguments).to_dict("records")
    return tables


def _write_estimates(result: FitResult, arguments: Namespace) -> None:
    from mlsem.cli.files import separated
    from mlsem.report.files import write_whole

    text = separated(_estimates(result, arguments), SEPARATORS[Path(arguments.out).suffix.lower()])
    write_whole(arguments.out, text, overwrite=arguments.overwrite)


def _write_report(result: FitResult, data: AnyFrame, arguments: Namespace) -> None:
    from mlsem.report.files import write_whole

    page = result.report(data=data).html
    write_whole(arguments.report, page, overwrite=arguments.overwrite, argument="--report")


# --- mlsem invariance ---------------------------------------------------------------------------


def run_invariance(arguments: Namespace) -> int:
    if arguments.group is None:
        raise OptionValueError("--group is needed: the column of groups")
    text = read_model(arguments.model)
    with warnings_as_lines(quiet=False) as caught:
        import mlsem
        from mlsem.data.frames.paths import rows_at

        data = rows_at(arguments.data)
        how = _groups(data, arguments) | _invariance_options(arguments)
        found = mlsem.invariance(text, data, **how)
        worst = {step: found.worst(step) for step in found.steps[1:]} if arguments.worst else {}
        if arguments.format == "json":
            from mlsem.cli.as_json import invariance_as_json

            print(invariance_as_json(found, arguments, {"model": text, **how}, worst, caught))
        else:
            print(_steps(found, worst, arguments), end="")
    converged = all(fit.converged for fit in found.fits.values())
    return OK if converged else NOT_CONVERGED


def _steps(found: Invariance, worst: dict[str, pd.DataFrame], arguments: Namespace) -> str:
    from mlsem.cli.output import in_form, worst_text

    text = in_form(found, arguments.format)
    if arguments.alignment:
        text += "\n\n" + in_form(found.alignment, arguments.format)
    for step, frame in worst.items():
        text += worst_text(step, frame.to_dict("list"), arguments.format)
    return text


def _invariance_options(arguments: Namespace) -> dict[str, Any]:
    options = _given(arguments, "cluster", "estimator", "se", "missing")
    for name in ("steps", "partial"):
        if getattr(arguments, name):
            options[name] = _names(getattr(arguments, name))
    options |= {"cross_level": arguments.cross_level, "alignment": arguments.alignment}
    return options | _model_options(arguments)


# --- mlsem check, demo, study ------------------------------------------------------------------


def run_check(arguments: Namespace) -> int:
    text = read_model(arguments.model)
    with warnings_as_lines(quiet=False):
        from mlsem.api.fit import check
        from mlsem.data.frames.paths import rows_at

        data = rows_at(arguments.data) if arguments.data else None
        options = _groups(data, arguments) | _model_options(arguments)
        table = check(text, data, arguments.cluster, **options)
        if arguments.format == "json":
            from mlsem.cli.as_json import table_as_json

            print(table_as_json(table))
        else:
            from mlsem.cli.output import in_form

            print(in_form(table, arguments.format).rstrip("\n"))
    return OK


def run_examples(arguments: Namespace) -> int:
    from mlsem.data.table.examples import EXAMPLES, example_model, load_example

    if arguments.name is None:
        from mlsem.cli.output import examples_text

        print(examples_text(EXAMPLES), end="")
    elif arguments.model:
        print(example_model(arguments.name), end="")
    else:
        load_example(arguments.name).to_csv(sys.stdout, index=False, lineterminator="\n")
    return OK


def run_demo(_: Namespace) -> int:
    with warnings_as_lines(quiet=False):
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


def run_study(arguments: Namespace) -> int:
    with warnings_as_lines(quiet=False):
        from mlsem.simulation.article.study import article_study

        study = article_study(arguments.replications, n_jobs=arguments.jobs, file=arguments.out)
        print(study, end="")
    return OK
