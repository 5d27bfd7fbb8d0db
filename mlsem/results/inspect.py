"""`FitResult.inspect`: what R's lavInspect gives, under its names."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.core.sample.shapes import covariate_sample
from mlsem.data.table.frame import make_frame, make_series, square_frame
from mlsem.errors import InferenceError, OptionValueError, closest
from mlsem.inference.fit.residuals import correlations
from mlsem.results.groups import ByGroup, group_sizes
from mlsem.results.implied import Implied, implied_by
from mlsem.results.levels import require_two_levels
from mlsem.results.observed import observed_in
from mlsem.results.variances import level_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mlsem.estimation.estimates import Estimates, GroupEstimates
    from mlsem.estimation.problem import Problem
    from mlsem.results.result import FitResult

Values = Callable[[Any, bool], Any]  # of a pattern's matrix, and whether it is symmetric


@quiet
def inspect(fit: FitResult, what: object) -> Any:
    """See `FitResult.inspect`."""
    name = str(what).strip().lower().replace("_", ".")
    found = NAMES.get(name) or NAMES.get(name.replace(" ", ".")) or NAMES.get(name.replace(".", ""))
    if found is None:
        near = closest(name, NAMES, 0.5)
        hint = "" if near is None else f" Did you mean {near!r}?"
        raise OptionValueError(
            f"inspect has no {str(what)!r}.{hint} It knows {', '.join(sorted(NAMES))}."
        )
    return found(fit)


def _by_group(fit: FitResult, function: Callable[[GroupEstimates], Any]) -> Any:
    """Of several groups a dict by their labels."""
    groups = fit._estimates.groups
    if not fit.table.groups:
        return function(groups[0])
    return {group.label: function(group) for group in groups}


def _by_level(fit: FitResult, function: Callable[[GroupEstimates, int], Any]) -> Any:
    """Of several levels a dict by the levels' labels, of several groups in one by theirs."""
    labels = fit.table.level_labels

    def of_group(group: GroupEstimates) -> Any:
        if not fit.table.multilevel:
            return function(group, 1)
        return {label: function(group, number) for number, label in enumerate(labels, 1)}

    return _by_group(fit, of_group)


# --- matrices -------------------------------------------------------------------------------------


def _matrices(estimates: Estimates[Problem], level: int, values: Values) -> dict[str, Any]:
    """λ, θ, ψ, β, ν, α of one level, and γ of fixed covariates. Observed variables with paths
    beside loadings stand among the latent ones, as in lavaan, but not in λ, where each would be
    itself."""
    table, pattern = estimates.table, estimates.problem.pattern
    own = pattern.levels[level - 1]
    variables = table.levels[level - 1]
    names = list(own.names)
    observed = [name for name in names if name in variables.modelled]
    paths = {(row.lhs, row.rhs) for row in table.rows if row.level == level and row.op == "~"}
    structural = {name for pair in paths for name in pair} & set(observed)
    measured = [name for name in observed if name not in structural]
    eta = [name for name in names if name not in measured]
    b, psi, gamma = (
        values(matrix, symmetric)
        for matrix, symmetric in (
            (own.directed, False), (own.symmetric, True), (own.exogenous, False)
        )
    )  # fmt: skip
    place = {name: k for k, name in enumerate(names)}

    def cut(matrix: NDArray[Any], rows: list[str], columns: list[str]) -> Any:
        block = matrix[np.ix_([place[n] for n in rows], [place[n] for n in columns])]
        return make_frame(dict(zip(columns, block.T, strict=True)), rows)

    found = {
        "lambda": cut(b, measured, eta),
        "theta": cut(psi, measured, measured),
        "psi": cut(psi, eta, eta),
    }
    if b[np.ix_([place[n] for n in eta], [place[n] for n in eta])].any():
        found["beta"] = cut(b, eta, eta)
    if table.meanstructure:
        found["nu"] = make_series(gamma[[place[n] for n in measured], 0], measured, "nu")
        found["alpha"] = make_series(gamma[[place[n] for n in eta], 0], eta, "alpha")
    covariates = list(variables.covariates)
    if covariates:
        slopes = gamma[:, gamma.shape[1] - len(covariates) :]
        found["gamma"] = make_frame(dict(zip(covariates, slopes.T, strict=True)), names)
    return found


def _at(params: Array) -> Values:
    return lambda matrix, symmetric: matrix.symmetric_at(params) if symmetric else matrix.at(params)


def _where_free(own: NDArray[Any]) -> Values:
    """What is said of each free parameter (m,), in its place; 0 where fixed."""

    def values(matrix: Any, symmetric: bool) -> NDArray[Any]:
        found = np.zeros(matrix.constants.shape, dtype=own.dtype)
        found[matrix.rows, matrix.cols] = own[matrix.params]
        if symmetric:
            found[matrix.cols, matrix.rows] = own[matrix.params]
        return found

    return values


# --- moments --------------------------------------------------------------------------------------


def _moments_of(found: Implied) -> dict[str, Any]:
    return {"cov": found.cov, "mean": found.mean}


def _number(fit: FitResult, group: GroupEstimates) -> int | None:
    return group.number if fit.table.groups else None


def _saturated(fit: FitResult) -> Any:
    model = fit.h1()
    return _by_level(
        fit, lambda group, level: _moments_of(model.implied(level, _number(fit, group)))
    )


def _implied(fit: FitResult) -> Any:
    return _by_level(fit, lambda group, level: _moments_of(implied_by(group.estimates, level)))


def _means(fit: FitResult) -> Any:
    return _by_level(fit, lambda group, level: implied_by(group.estimates, level).mean)


def _total(estimates: Estimates[Problem], level: int) -> tuple[tuple[str, ...], Array]:
    """All variables of a level but fixed covariates, and their covariances."""
    names = (estimates.problem.pattern.levels[level - 1]).names
    return names, level_parts(estimates.problem, estimates.params, level)[1]


def _covariances(kind: str, *, standardized: bool) -> Callable[[FitResult], Any]:
    """Implied covariances of the latent ("lv"), the observed ("ov") or all variables."""

    def of_level(group: GroupEstimates, level: int) -> Any:
        if kind == "ov":
            cov = implied_by(group.estimates, level).cov
            names, matrix = tuple(cov.columns), cov.to_numpy()
        else:
            names, matrix = _total(group.estimates, level)
            latent = group.estimates.table.levels[level - 1].latent
            if kind == "lv":
                own = [k for k, name in enumerate(names) if name in latent]
                names, matrix = tuple(names[k] for k in own), matrix[np.ix_(own, own)]
        return square_frame(correlations(matrix) if standardized else matrix, names)

    return lambda fit: _by_level(fit, of_level)


def _latent_means(fit: FitResult) -> Any:
    """At the sample means of the covariates."""

    def of_level(group: GroupEstimates, level: int) -> Any:
        estimates = group.estimates
        pattern = estimates.problem.pattern.levels[level - 1]
        moments, _ = level_parts(estimates.problem, estimates.params, level)
        mean, _ = covariate_sample(estimates.problem.sample, pattern.covariates, level)
        names = estimates.table.levels[level - 1].latent
        own = [pattern.names.index(name) for name in names]
        return make_series(moments.coefficients[own] @ mean, names, "mean")

    return _by_level(fit, of_level)


def _r_squared(fit: FitResult) -> Any:
    every = fit.r_squared()

    def of_level(group: GroupEstimates, level: int) -> Any:
        if isinstance(every, ByGroup) and group.label not in every:  # it explains nothing
            return make_series(np.zeros(0), (), "r2")
        found = every[group.label] if isinstance(every, ByGroup) else every
        own = [k for k, number in enumerate(found.levels) if number == level]
        names = [found.variables[k] for k in own]
        return make_series(found.values[own], names, "r2")

    return _by_level(fit, of_level)


def _icc(fit: FitResult) -> Any:
    """lavaan's: of the saturated model; 0 of variables of level 1 alone."""
    require_two_levels(fit.table, 'inspect("icc")', "icc() has shares of three levels")
    if not fit.table.two_level:
        raise InferenceError("the model has one level: there is no intraclass correlation.")

    model = fit.h1()

    def of_group(group: GroupEstimates) -> Any:
        moments = [model.implied(k, _number(fit, group)).cov for k in (1, 2)]
        within, between = map(np.diag, moments)
        names, above = (list(cov.columns) for cov in moments)
        split = set(group.estimates.table.split)
        values = []
        for k, name in enumerate(names):
            part = between[above.index(name)] if name in split else 0.0
            values.append(part / (part + within[k]))
        return make_series(values, names, "icc")

    return _by_group(fit, of_group)


# --- the data -------------------------------------------------------------------------------------


def _patterns(fit: FitResult) -> Any:
    """Which variables are observed together; the index says in how many rows, or clusters."""

    def of_level(group: GroupEstimates, level: int) -> Any:
        found = observed_in(group.estimates, level)
        columns = dict(zip(found.variables, found.patterns.T, strict=True))
        return make_frame(columns, found.counts).rename_axis("rows" if level == 1 else "clusters")

    return _by_level(fit, of_level)


def _coverage(fit: FitResult) -> Any:
    """Shares of the rows, or clusters, in which both of two variables are observed."""

    def of_level(group: GroupEstimates, level: int) -> Any:
        found = observed_in(group.estimates, level)
        return square_frame(found.coverage, found.variables)

    return _by_level(fit, of_level)


def _require_clusters(fit: FitResult) -> None:
    if fit.n_clusters is None:
        raise InferenceError("the fit has no clusters.")


def _of_clusters(function: Callable[[Any], Any]) -> Callable[[FitResult], Any]:
    """Of the clusters of the likelihood."""

    def found(fit: FitResult) -> Any:
        _require_clusters(fit)
        return _by_group(fit, lambda group: function(group.estimates.problem.moments))

    return found


def _cluster(fit: FitResult) -> str:
    _require_clusters(fit)
    return str(fit._record.cluster or fit._record.robust.name)


def _n_clusters(fit: FitResult) -> Any:
    _require_clusters(fit)
    assert fit.n_clusters is not None
    sizes = group_sizes(fit._estimates)
    return fit.n_clusters if sizes is None else _by_label(fit, sizes.clusters)


def _n_rows(fit: FitResult) -> Any:
    return _by_group(fit, lambda group: group.estimates.n_obs)


def _n_read(fit: FitResult) -> Any:
    return _by_group(fit, lambda group: group.estimates.record.n_rows_total)


def _by_label(fit: FitResult, values: Sequence[Any]) -> dict[Hashable, Any]:
    labels = (group.label for group in fit._estimates.groups)
    return dict(zip(labels, values, strict=True))


def _names(*kinds: str) -> Callable[[FitResult], Any]:
    """Those of the variables of all levels, of the kinds that `LevelVariables` has."""

    def of_group(group: GroupEstimates) -> tuple[str, ...]:
        levels = group.estimates.table.levels
        every = (name for level in levels for kind in kinds for name in getattr(level, kind))
        return tuple(dict.fromkeys(every))

    return lambda fit: _by_group(fit, of_group)


def _gradient(fit: FitResult) -> Any:
    return fit.scores().sum()


def _in_matrices(own: Callable[[FitResult, GroupEstimates], Values]) -> Callable[[FitResult], Any]:
    """Matrices of what is said of the parameters of each group."""
    return lambda fit: _by_level(
        fit, lambda group, level: _matrices(group.estimates, level, own(fit, group))
    )


def _standardized(fit: FitResult) -> Any:
    method = getattr(fit, "standardized", None)
    if method is None:
        raise InferenceError("this fit has no standardized solution.")
    return method()


def _information(kind: Any) -> Callable[[FitResult], Any]:
    return lambda fit: fit.information(kind)


NAMES: dict[str, Callable[[FitResult], Any]] = {
    "sampstat": _saturated,
    "h1": _saturated,
    "implied": _implied,
    "fitted": _implied,
    "sigma": _covariances("ov", standardized=False),
    "mu": _means,
    "icc": _icc,
    "rsquare": _r_squared,
    "r2": _r_squared,
    "vcov": lambda fit: fit.vcov(),
    "coef": lambda fit: fit.params,
    "se": _in_matrices(lambda fit, group: _where_free(fit.covariance.se[group.places])),
    "est": _in_matrices(lambda fit, group: _at(group.estimates.params)),
    "estimates": _in_matrices(lambda fit, group: _at(group.estimates.params)),
    "free": _in_matrices(lambda fit, group: _where_free(group.places + 1)),
    "start": _in_matrices(lambda fit, group: _at(fit._estimates.problem.guess[group.places])),
    "list": lambda fit: fit.parameter_estimates(),
    "partable": lambda fit: fit.parameter_estimates(),
    "nobs": _n_rows,
    "ntotal": lambda fit: fit.n_obs,
    "norig": _n_read,
    "nclusters": _n_clusters,
    "ncluster.size": _of_clusters(lambda moments: len(np.unique(moments.rows))),
    "cluster.size": _of_clusters(lambda moments: make_series(moments.rows, moments.labels, "rows")),
    "cluster.sizes": _of_clusters(lambda moments: np.unique(moments.rows)),
    "average.cluster.size": _of_clusters(lambda moments: float(moments.rows.mean())),
    "cluster.id": _of_clusters(lambda moments: moments.labels),
    "cluster": _cluster,
    "ngroups": lambda fit: len(fit._estimates.groups),
    "group.label": lambda fit: tuple(each.label for each in fit.table.groups),
    "group": lambda fit: getattr(fit._record, "column", ""),
    "nlevels": lambda fit: len(fit.table.levels),
    "level.label": lambda fit: fit.table.level_labels,
    "npar": lambda fit: fit.n_params,
    "ov.names": _names("modelled", "covariates"),
    "lv.names": _names("latent"),
    "cov.lv": _covariances("lv", standardized=False),
    "cor.lv": _covariances("lv", standardized=True),
    "cov.ov": _covariances("ov", standardized=False),
    "cor.ov": _covariances("ov", standardized=True),
    "cov.all": _covariances("all", standardized=False),
    "cor.all": _covariances("all", standardized=True),
    "mean.lv": _latent_means,
    "mean.ov": _means,
    "residuals": lambda fit: fit.residuals(),
    "resid": lambda fit: fit.residuals(),
    "fit": lambda fit: fit.fit_measures(),
    "standardized": _standardized,
    "std": _standardized,
    "converged": lambda fit: fit.converged,
    "iterations": lambda fit: fit.n_iterations,
    "logl": lambda fit: fit.loglik,
    "loglik": lambda fit: fit.loglik,
    "gradient": _gradient,
    "scores": lambda fit: fit.scores(),
    "information": lambda fit: fit.information(),
    "information.expected": _information("expected"),
    "information.observed": _information("observed"),
    "information.first.order": _information("first_order"),
    "reliability": lambda fit: fit.reliability(),
    "patterns": _patterns,
    "missing.patterns": _patterns,
    "coverage": _coverage,
    "missing.coverage": _coverage,
    "options": lambda fit: fit.settings,
}
