"""`mlsem lmm` of three levels: what its result is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlsem.cli.output import in_form
from mlsem.errors import OptionValueError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Sequence
    from warnings import WarningMessage

    from mlsem.results.nested.result import NestedResult


def show_nested(
    result: NestedResult,
    arguments: Namespace,
    separators: dict[str, str],
    caught: Sequence[WarningMessage],
) -> None:
    """Write and print what was asked for.

    Raises
    ------
    OptionValueError
        What there is of two levels only.
    """
    if arguments.report:
        raise OptionValueError("--report: it is of models of two levels")
    level = 0.95 if arguments.level is None else arguments.level
    if arguments.out:
        from mlsem.cli.files import separated
        from mlsem.report.files import write_whole

        table = result.parameter_estimates(level)
        text = separated(table, separators[Path(arguments.out).suffix.lower()])
        write_whole(arguments.out, text, overwrite=arguments.overwrite)
    if arguments.format == "json":
        from mlsem.cli.as_json import nested_as_json

        print(nested_as_json(result, level, caught))
    elif not arguments.quiet:
        summary = result.summary(arguments.level, arguments.ci)
        print(in_form(summary, arguments.format, arguments.digits), end="")
