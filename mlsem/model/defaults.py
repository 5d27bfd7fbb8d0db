"""From model text to parameter table: lavaan's `sem()`, for one or two levels and any number of
groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsem.errors import OptionValueError
from mlsem.model.drafts import equate, plan, read_draft, table_of, with_means, write
from mlsem.model.options import SEM, ModelOptions
from mlsem.model.products import Products
from mlsem.model.relations import used_names

if TYPE_CHECKING:
    from collections.abc import Collection, Hashable

    from mlsem.model.table import ParameterTable
    from mlsem.syntax.nodes import ModelSyntax


def specify(
    syntax: ModelSyntax,
    options: ModelOptions = SEM,
    columns: Collection[str] | None = None,
    *,
    population: bool = False,
    groups: tuple[Hashable, ...] = (),
) -> ParameterTable:
    """The parameter table of a model text.

    Parameters
    ----------
    syntax : ModelSyntax
        The parsed text.
    options : ModelOptions
        What the defaults add.
    columns : collection of str, optional
        Names of the data's columns: every observed variable must be one of them.
    population : bool
        Whether the model is one that data are drawn from: no data give the moments of covariates
        with a part at both levels, so they are parameters.
    groups : tuple of hashable
        The labels of two groups or more, in the order of the data; empty: the model is of one
        group. Blocks `group: a` are matched by name and number the groups
        (`mlsem.syntax.groups`).

    Raises
    ------
    SpecificationError
        The text does not make a model; shows the place and says what to write.
    OptionValueError
        `meanstructure=False` where the model has means; equalities across groups without groups.
    """
    columns = None if columns is None else frozenset(columns)
    if groups:
        from mlsem.model.groups import specify_groups  # for few models

        return specify_groups(syntax, options, columns, population, groups)
    _require_one_group(syntax, options)
    draft = read_draft(syntax, 1, Products(syntax.text, columns))
    (draft,) = equate([draft])
    group = plan(draft, options, columns, used_names(syntax), population)
    (group,) = with_means((group,), options)
    writer, relations = write(syntax, (group,))
    if options.level_equal:
        from mlsem.model.cross_level import across_levels  # for few models

        writer.rows, writer.names = across_levels(
            writer.rows, writer.names, group.plans, options, syntax.text
        )
    return table_of(group, draft.labels, writer, relations)


def _require_one_group(syntax: ModelSyntax, options: ModelOptions) -> None:
    if syntax.is_of_groups:
        from mlsem.syntax.groups import refuse_groups

        refuse_groups(syntax)
    for name in ("group_equal", "group_partial"):
        if value := getattr(options, name):
            raise OptionValueError(
                f'{name}={value!r} is about several groups: write group="…", the column that says '
                "the group of each row, or leave it out."
            )
