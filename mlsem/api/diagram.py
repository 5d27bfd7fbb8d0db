"""`diagram`: a model as a path diagram, before it is fitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsem.api.fit import check
from mlsem.errors import OptionValueError
from mlsem.model.table import ParameterTable

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from mlsem.results.diagram import Diagram, Layout


def diagram(
    model: str | ParameterTable,
    *,
    labels: Mapping[str, str] | None = None,
    intercepts: bool = False,
    variances: bool = True,
    covariances: bool = True,
    level: int | str | None = None,
    group: Hashable = None,
    layout: Layout = "auto",
) -> Diagram:
    """The path diagram of a model that is not fitted: labels and fixed values stand at the arrows.

    That of a fit, with its estimates, is `FitResult.diagram`, which says what the signs mean.

    Parameters
    ----------
    model : str or ParameterTable
        A model's text, or what `check` gives of it.
    labels : mapping of str to str, optional
        What is written in place of names.
    intercepts : bool, default False
        Whether intercepts are drawn: in brackets, as far as they have a label or a value.
    variances, covariances : bool, default True
        Whether these are drawn.
    level : int or str, optional
        One level. Default: all.
    group : str or number, optional
        One group. Default: all.
    layout : {"auto", "graphviz", "built-in"}, default "auto"
        As for `FitResult.diagram`.

    Returns
    -------
    Diagram

    Raises
    ------
    ModelSyntaxError, SpecificationError
        As `check`.
    OptionValueError
        A value that an argument cannot take.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> table = mlsem.check("level: 1\\n y ~ b*x1\\nlevel: 2\\n y ~ w1", data, cluster="id")
    >>> print(mlsem.diagram(table, layout="built-in", level="1"))
    Within:
    x1 predicts y: b.
    ...
    """
    from mlsem.results.diagram import diagram as of_table
    from mlsem.results.diagram import options_of

    if isinstance(model, str):
        model = check(model)
    if not isinstance(model, ParameterTable):
        raise OptionValueError(
            "model: the text of a model is needed, or what mlsem.check gives of it; the diagram of "
            "a fit is fit.diagram()."
        )
    options = options_of(labels, 2, 0.05, False, intercepts, variances, covariances)
    return of_table(model, None, options, level, group, layout)
