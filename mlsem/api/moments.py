"""`moments`: the data of a model as moments by cluster, which are merged, saved and fitted to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Unpack

from mlsem.api.call import read_keywords
from mlsem.api.from_query import content_of
from mlsem.api.steps import (
    SAMPLED,
    groups_of,
    is_query,
    names_in,
    parsed,
    remarked,
    rows_in,
    table_of,
)
from mlsem.api.three_levels import refuse_moments
from mlsem.core.quiet import quiet
from mlsem.data.kept.moments import Moments
from mlsem.data.moments.auxiliary import auxiliary_names, check_beside
from mlsem.data.moments.monomial_rows import grouped_monomials_of_rows, monomials_of_rows
from mlsem.errors import OptionValueError
from mlsem.estimation.keywords import ELSEWHERE, MomentsKeywords, shown
from mlsem.estimation.settings import SETTING_NAMES
from mlsem.other_programs.answering import answering

if TYPE_CHECKING:
    from mlsem.data.frames.records import AnyFrame

READ = ("group", "group_label", "auxiliary", "missing", "se_cluster")


@shown(MomentsKeywords)
@answering
@quiet
def moments(
    model: str, data: AnyFrame, cluster: str | None = None, **options: Unpack[MomentsKeywords]
) -> Moments:
    """The moments by cluster that a model needs of its data.

    Rows of cluster j enter a likelihood only through n_j, their mean m̄_j and their cross-products
    Σ_i (m_ij − m̄_j)(m_ij − m̄_j)ᵀ, with m the variables and products of level 1. So moments can be
    fitted in place of rows, merged over parts of the data that are in different places or come one
    after the other, and saved.

    Parameters
    ----------
    model : str
        As for `mlsem.fit`. Models with fewer variables, paths or products can be fitted to the
        moments, too.
    data : data frame or path
        As for `mlsem.fit`. Is not changed. The rows of a query stay where they are.
    cluster : str, optional
        Column of cluster ids, which say what is joined by `Moments.merge`. Without it (single-level
        models) all rows are one cluster: model-based standard errors alone.
    group, group_label : optional
        As for `mlsem.fit`.
    missing : {"listwise", "error", "fiml", "fiml.x"}, optional
        As for `mlsem.fit`. Moments made with "fiml" know every pattern of missing values and can
        be fitted by "listwise", too.
    se_cluster : str, optional
        Column of the clusters of robust standard errors, where they are coarser.
    auxiliary : str or list of str, optional
        Columns beside the model, with ``missing="fiml"``.
    **options
        Of the model, as for `mlsem.fit`. How it is estimated, and ``center=``, are choices of the
        fit.

    Returns
    -------
    Moments
        Prints what is in it.

    Raises
    ------
    ModelSyntaxError, SpecificationError, OptionError, OptionValueError
        The model, or what is given with it.
    DataError
        As for `mlsem.fit`; what takes all of the data is looked at when they are fitted.

    Examples
    --------
    >>> import mlsem
    >>> data = mlsem.load_example("article")
    >>> model = "level: 1; y ~ x1 + w1:x1; level: 2; y ~ w1"
    >>> moments = mlsem.moments(model, data, cluster="id")
    >>> fit = mlsem.fit(model, moments, estimator="MLR", center={"x1": "cluster"})
    >>> fit.converged
    True
    """
    for name in options:
        if name in SAMPLED:
            raise OptionValueError(
                f"{name}= says how rows count, and moments do not know their rows: pass the data "
                f"themselves, mlsem.fit(model, data, {name}=…)."
            )
        if name in (*ELSEWHERE, *SETTING_NAMES) and name not in READ:
            raise OptionValueError(
                f"{name}= is a choice of the fit, which moments allow: mlsem.fit(model, moments, "
                f"{name}=…)."
            )
    how = read_keywords("sem", options)
    data = rows_in(data, model, cluster, options, summed=True)
    syntax = parsed(model, data)
    labels = groups_of(syntax, data, how.group, how.group_label)
    table = remarked(table_of(syntax.text, how.options, names_in(data), labels))
    refuse_moments(table)
    names = auxiliary_names(how.auxiliary)
    if names and how.settings.missing != "fiml":
        raise OptionValueError('auxiliary= goes with missing="fiml": add it, or leave both out.')
    for name in names:
        check_beside(table, name, cluster, how.settings.se_cluster)
    given: dict[str, Any] = {
        "cluster": cluster,
        "missing": how.settings.missing or "listwise",
        "se_cluster": how.settings.se_cluster,
        "auxiliary": names,
    }
    if is_query(data):
        content = content_of(data, table, how.settings, cluster, how.group, names)
    elif labels:
        content = grouped_monomials_of_rows(table, data, column=how.group, **given)
    else:
        content = monomials_of_rows(table, data, **given)
    kept = {
        name: tuple(value) if isinstance(value, list | set) else value
        for name, value in options.items()
        if name not in READ
    }
    asked = options.get("missing")
    return Moments(
        model=syntax.text,
        options=kept,
        cluster=cluster,
        group=how.group,
        se_cluster=how.settings.se_cluster,
        missing=None if asked is None else str(asked),
        auxiliary=names,
        content=content,
    )
