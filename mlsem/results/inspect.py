"""`FitResult.inspect`: what R's lavInspect gives, under its names."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from mlsem.core.quiet import quiet
from mlsem.core.records import Array
from mlsem.core.sample.shapes import covariate_sample
from mlsem.data.table.frame import make_frame, make_series, square_frame
from mlsem.errors import InferenceError, OptionValueError, closest
from mlsem.inference.fit.residuals import correlations
from mlsem.results.observed import observed_in
from mlsem.results.variances import level_parts

if TYPE_CHECKING:
    from numpy.typing import NDArray

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


def _by_level(fit: FitResult, function: Callable[[int], Any]) -> Any:
    """Of a model of two levels a dict by the levels' labels."""
    labels = fit.table.level_labels
    if not fit.table.two_level:
        return function(1)
    return {label: function(number) for number, label in enumerate(labels, 1)}


# --- matrices -------------------------------------------------------------------------------------


def _matrices(fit: FitResult, level: int, values: Values) -> dict[str, Any]:
    """λ, θ, ψ, β, ν, α of one level, and γ of fixed covariates. Observed variables with paths
    beside loadings stand among the latent ones, as in lavaan, but not in λ, where each would be
    itself."""
    table, pattern = fit.table, fit._estimates.problem.pattern
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


def _free(matrix: Any, symmetric: bool) -> NDArray[Any]:
    """Numbers of the free parameters from 1, as in lavaan; 0 where fixed."""
    found = np.zeros(matrix.constants.shape, dtype=np.int64)
    found[matrix.rows, matrix.cols] = matrix.params + 1
    if symmetric:
        found[matrix.cols, matrix.rows] = matrix.params + 1
    return found


# --- moments --------------------------------------------------------------------------------------


def _moments(fit: FitResult, source: Any) -> Any:
    def of_level(level: int) -> dict[str, Any]:
        found = source.implied(level)
        return {"cov": found.cov, "mean": found.mean}

    return _by_level(fit, of_level)


def _total(fit: FitResult, level: int) -> tuple[tuple[str, ...], Array]:
    """All variables of a level but fixed covariates, and their covariances."""
    estimates, pattern = fit._estimates, fit._estimates.problem.pattern
    names = (pattern.levels[level - 1]).names
    return names, level_parts(estimates.problem, estimates.params, level)[1]


def _covariances(kind: str, *, standardized: bool) -> Callable[[FitResult], Any]:
    """Implied covariances of the latent ("lv"), the observed ("ov") or all variables."""

    def found(fit: FitResult) -> Any:
        def of_level(level: int) -> Any:
            if kind == "ov":
                cov = fit.implied(level).cov
                names, matrix = tuple(cov.columns), cov.to_numpy()
            else:
                names, matrix = _total(fit, level)
                latent = fit.table.levels[level - 1].latent
                if kind == "lv":
                    own = [k for k, name in enumerate(names) if name in latent]
                    names, matrix = tuple(names[k] for k in own), matrix[np.ix_(own, own)]
            return square_frame(correlations(matrix) if standardized else matrix, names)

        return _by_level(fit, of_level)

    return found


def _latent_means(fit: FitResult) -> Any:
    """At the sample means of the covariates."""
    estimates = fit._estimates

    def of_level(level: int) -> Any:
        pattern = estimates.problem.pattern.levels[level - 1]
        moments, _ = level_parts(estimates.problem, estimates.params, level)
        mean, _ = covariate_sample(estimates.problem.sample, pattern.covariates, level)
        names = fit.table.levels[level - 1].latent
        own = [pattern.names.index(name) for name in names]
        return make_series(moments.coefficients[own] @ mean, names, "mean")

    return _by_level(fit, of_level)


def _r_squared(fit: FitResult) -> Any:
    found = fit.r_squared()

    def of_level(level: int) -> Any:
        own = [k for k, number in enumerate(found.levels) if number == level]
        names = [found.variables[k] for k in own]
        return make_series(found.values[own], names, "r2")

    return _by_level(fit, of_level)


def _icc(fit: FitResult) -> Any:
    """lavaan's: of the saturated model; 0 of variables of level 1 alone."""
    if not fit.table.two_level:
        raise InferenceError("the model has one level: there is no intraclass correlation.")
    model = fit.h1()
    within, between = (np.diag(model.implied(k).cov) for k in (1, 2))
    names, above = (list(model.implied(k).cov.columns) for k in (1, 2))
    split = set(fit.table.split)
    values = []
    for k, name in enumerate(names):
        part = between[above.index(name)] if name in split else 0.0
        values.append(part / (part + within[k]))
    return make_series(values, names, "icc")


# --- the data -------------------------------------------------------------------------------------


def _patterns(fit: FitResult) -> Any:
    """Which variables are observed together; the index says in how many rows, or clusters."""

    def of_level(level: int) -> Any:
        found = observed_in(fit._estimates, level)
        columns = dict(zip(found.variables, found.patterns.T, strict=True))
        return make_frame(columns, found.counts).rename_axis("rows" if level == 1 else "clusters")

    return _by_level(fit, of_level)


def _coverage(fit: FitResult) -> Any:
    """Shares of the rows, or clusters, in which both of two variables are observed."""

    def of_level(level: int) -> Any:
        found = observed_in(fit._estimates, level)
        return square_frame(found.coverage, found.variables)

    return _by_level(fit, of_level)


def _sizes(fit: FitResult) -> NDArray[Any]:
    _require_clusters(fit)
    return fit._estimates.problem.moments.rows


def _require_clusters(fit: FitResult) -> None:
    if fit.n_clusters is None:
        raise InferenceError("the fit has no clusters.")


def _cluster_size(fit: FitResult) -> Any:
    sizes = _sizes(fit)
    return make_series(sizes, fit._estimates.problem.moments.labels, "rows")


def _distinct_sizes(fit: FitResult) -> Any:
    return np.unique(_sizes(fit))


def _labels(fit: FitResult) -> Any:
    _require_clusters(fit)
    return fit._estimates.problem.moments.labels


def _cluster(fit: FitResult) -> str:
    _require_clusters(fit)
    return str(fit._record.cluster or fit._record.robust.name)


def _n_clusters(fit: FitResult) -> int:
    _require_clusters(fit)
    assert fit.n_clusters is not None
    return fit.n_clusters


def _gradient(fit: FitResult) -> Any:
    return fit.scores().sum()


def _start(fit: FitResult) -> Any:
    guess = fit._estimates.problem.guess
    return _by_level(fit, lambda level: _matrices(fit, level, _at(guess)))


def _standard_errors(fit: FitResult) -> Any:
    se = fit.covariance.se

    def values(matrix: Any, symmetric: bool) -> Array:
        found = np.zeros(matrix.constants.shape)
        found[matrix.rows, matrix.cols] = se[matrix.params]
        if symmetric:
            found[matrix.cols, matrix.rows] = se[matrix.params]
        return found

    return _by_level(fit, lambda level: _matrices(fit, level, values))


def _standardized(fit: FitResult) -> Any:
    method = getattr(fit, "standardized", None)
    if method is None:
        raise InferenceError("this fit has no standardized solution.")
    return method()


def _est(fit: FitResult) -> Any:
    return _by_level(fit, lambda level: _matrices(fit, level, _at(fit.estimates)))


def _free_matrices(fit: FitResult) -> Any:
    return _by_level(fit, lambda level: _matrices(fit, level, _free))


def _information(kind: Any) -> Callable[[FitResult], Any]:
    return lambda fit: fit.information(kind)


def _saturated(fit: FitResult) -> Any:
    return _moments(fit, fit.h1())


def _implied(fit: FitResult) -> Any:
    return _moments(fit, fit)


NAMES: dict[str, Callable[[FitResult], Any]] = {
    "sampstat": _saturated,
    "h1": _saturated,
    "implied": _implied,
    "fitted": _implied,
    "sigma": _covariances("ov", standardized=False),
    "mu": lambda fit: _by_level(fit, lambda level: fit.implied(level).mean),
    "icc": _icc,
    "rsquare": _r_squared,
    "r2": _r_squared,
    "vcov": lambda fit: fit.vcov(),
    "coef": lambda fit: fit.params,
    "se": _standard_errors,
    "est": _est,
    "estimates": _est,
    "free": _free_matrices,
    "start": _start,
    "list": lambda fit: fit.parameter_estimates(),
    "partable": lambda fit: fit.parameter_estimates(),
    "nobs": lambda fit: fit.n_obs,
    "ntotal": lambda fit: fit.n_obs,
    "norig": lambda fit: fit._record.n_rows_total,
    "nclusters": _n_clusters,
    "ncluster.size": lambda fit: len(_distinct_sizes(fit)),
    "cluster.size": _cluster_size,
    "cluster.sizes": _distinct_sizes,
    "average.cluster.size": lambda fit: float(_sizes(fit).mean()),
    "cluster.id": _labels,
    "cluster": _cluster,
    "nlevels": lambda fit: len(fit.table.levels),
    "level.label": lambda fit: fit.table.level_labels,
    "npar": lambda fit: fit.n_params,
    "ov.names": lambda fit: fit.table.observed,
    "lv.names": lambda fit: tuple(dict.fromkeys(n for v in fit.table.levels for n in v.latent)),
    "cov.lv": _covariances("lv", standardized=False),
    "cor.lv": _covariances("lv", standardized=True),
    "cov.ov": _covariances("ov", standardized=False),
    "cor.ov": _covariances("ov", standardized=True),
    "cov.all": _covariances("all", standardized=False),
    "cor.all": _covariances("all", standardized=True),
    "mean.lv": _latent_means,
    "mean.ov": lambda fit: _by_level(fit, lambda level: fit.implied(level).mean),
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
