"""The parameters that semopy gives a model, written out as a model in lavaan's syntax."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from math import inf
from typing import Literal

from mlsem.errors import Span
from mlsem.interop.semopy.syntax import SemopyModel, Term, Terms, fail
from mlsem.model.defaults import specify
from mlsem.syntax.parse import parse

Intercepts = Literal["free", "zero", "none"]
_NOWHERE = Span(0, 0)


@dataclass(frozen=True)
class Translation:
    """A model of semopy's with its class's options.

    Attributes
    ----------
    source : SemopyModel
    intercepts : {"free", "zero", "none"}
        Of observed variables; none: without a mean structure.
    mimic_lavaan, cov_diag : bool
        As semopy's `Model` takes them.
    """

    source: SemopyModel
    intercepts: Intercepts
    mimic_lavaan: bool = False
    cov_diag: bool = False

    # --- the variables, sorted as semopy sorts them ----------------------------------------------

    @cached_property
    def paths(self) -> Terms:
        """Regressions, without `y ~ 0*y`, which only makes a variable known."""
        return {
            key: term
            for key, term in self.source.paths.items()
            if term.rhs != "1" and not _is_idle(term)
        }

    @cached_property
    def latent(self) -> dict[str, None]:
        return dict.fromkeys([*(f for f, _ in self.source.loadings), *self.source.latent])

    @cached_property
    def receiving(self) -> dict[str, None]:
        """Variables that an arrow points at."""
        outcomes = [
            lhs for lhs, rhs in self.source.paths if rhs != "1" or self.intercepts != "none"
        ]
        indicators = [x for _, x in self.source.loadings]
        return dict.fromkeys([*indicators, *outcomes, *self.source.endogenous])

    @cached_property
    def sending(self) -> dict[str, None]:
        """Variables that an arrow leaves from."""
        predictors = [rhs for _, rhs in self.source.paths if rhs != "1"]
        return dict.fromkeys([*(f for f, _ in self.source.loadings), *predictors])

    @cached_property
    def variables(self) -> dict[str, None]:
        return self.receiving | self.sending

    @cached_property
    def covariates(self) -> list[str]:
        """Exogenous observed variables."""
        return [v for v in self.sending if v not in self.receiving and v not in self.latent]

    @cached_property
    def outputs(self) -> set[str]:
        """Variables whose residual semopy keeps apart from the paths (in Θ)."""
        last = {v for v in self.receiving if v not in self.sending}
        return last & {x for _, x in self.source.loadings} if self.mimic_lavaan else last

    # --- the text --------------------------------------------------------------------------------

    def text(self) -> str:
        """The model for `mlsem.fit` with its default options.

        Raises
        ------
        SpecificationError
            For what the two programs cannot both say.
        """
        self._check()
        lines = [*self._loadings(), *self._paths(), *self._covariances(), *self._intercepts()]
        lines += self.source.constraints
        lines += [f"{a} ~~ 0*{b}" for a, b in self._unwanted(lines)]
        return "\n".join(lines) + "\n"

    def _unwanted(self, lines: list[str]) -> Iterator[tuple[str, str]]:
        """Covariances that lavaan's defaults would add to these lines."""
        covariates = set(self.covariates)
        for row in specify(parse("\n".join(lines))).rows:
            added = row.free >= 0 and not row.user and row.op == "~~" and row.lhs != row.rhs
            if added and not {row.lhs, row.rhs} <= covariates:
                yield row.lhs, row.rhs

    def _loadings(self) -> Iterator[str]:
        measured: dict[str, list[Term]] = {}
        for term in self.source.loadings.values():
            measured.setdefault(term.lhs, []).append(term)
        for name, terms in measured.items():
            if all(term.fixed is None for term in terms):
                first = next((k for k, term in enumerate(terms) if term.plain), None)
                if first is not None:
                    terms[first] = replace(terms[first], fixed=1.0)
            free = "NA*" if terms[0].fixed is None else ""
            written = [self._modified(term) for term in terms]
            yield f"{name} =~ {free}{' + '.join(written)}"
        for name in self.source.latent:
            if name not in measured:
                yield f"{name} =~ 0"

    def _paths(self) -> Iterator[str]:
        outcomes: dict[str, list[str]] = {}
        for term in self.paths.values():
            outcomes.setdefault(term.lhs, []).append(self._modified(term))
        for name, terms in outcomes.items():
            yield f"{name} ~ {' + '.join(terms)}"

    def _covariances(self) -> Iterator[str]:
        for term in self._all_covariances():
            lower = "" if term.lhs != term.rhs or term.fixed is not None else "lower(0)*"
            if term.label in self.source.bounds:
                lower = ""
            yield f"{term.lhs} ~~ {lower}{self._modified(term)}"

    def _intercepts(self) -> Iterator[str]:
        if self.intercepts == "none":
            return
        written = {lhs: term for (lhs, rhs), term in self.source.paths.items() if rhs == "1"}
        fixed = 0.0 if self.intercepts == "zero" else None
        modelled = self.covariates if self._names_covariates else []
        observed = [v for v in self.receiving if v not in self.latent] + modelled
        for name in dict.fromkeys([*written, *observed]):
            term = written.get(name, Term(name, "1", fixed, "", False, _NOWHERE))
            yield f"{name} ~ {self._modified(term)}"

    def _modified(self, term: Term) -> str:
        """`0.5*x`, or `start(.5)*lower(0)*a*x`."""
        if term.fixed is not None:
            return f"{repr(term.fixed).removesuffix('.0')}*{term.rhs}"
        if not term.label:
            return term.rhs
        lower, upper = self.source.bounds.get(term.label, (-inf, inf))
        parts = [f"lower({lower!r})*"] if lower > -inf else []
        parts += [f"upper({upper!r})*"] if upper < inf else []
        if term.label in self.source.starts:
            start = min(max(self.source.starts[term.label], lower), upper)
            parts.insert(0, f"start({start!r})*")
        parts.append(f"{term.label}*{term.rhs}")
        return "".join(parts)

    # --- semopy's variances and covariances ------------------------------------------------------

    @cached_property
    def _names_covariates(self) -> bool:
        """Whether a covariate is in a written variance or covariance."""
        names = {name for key, term in self._written.items() for name in key if not term.sample}
        return any(name in names for name in self.covariates)

    @cached_property
    def _written(self) -> Terms:
        return self.source.covariances

    def _all_covariances(self) -> Iterator[Term]:
        """The written ones, then those that semopy adds; covariates' only where some are."""
        yield from (term for term in self._written.values() if not term.sample)
        exogenous = [f for f in self.latent if f not in self.receiving]
        if self._names_covariates:
            yield from self._missing(combinations(self.covariates, 2))
            yield from self._missing((v, v) for v in self.covariates)
        yield from self._missing((v, v) for v in self.variables if v not in self.covariates)
        if not self.cov_diag:
            yield from self._missing(combinations(exogenous, 2))
        if not self.cov_diag and self.mimic_lavaan:
            inner = [v for v in self.receiving if v not in self.sending and v not in self.outputs]
            yield from self._missing(combinations(inner, 2))

    def _missing(self, pairs: Iterable[tuple[str, str]]) -> Iterator[Term]:
        for a, b in pairs:
            term = self._written.get((a, b)) or self._written.get((b, a))
            if term is None or term.sample:
                yield Term(a, b, None, "", False, _NOWHERE)

    # --- what cannot be said ---------------------------------------------------------------------

    def _check(self) -> None:
        text = self.source.text
        if not self.variables:
            raise fail(text, "the model has no loading and no regression.", None)
        for name, span in self.source.latent.items():
            if name not in self.sending:
                raise fail(text, f"no arrow leaves from the latent variable {name!r}.", span)
        for (lhs, rhs), term in self.source.loadings.items():
            if (rhs, lhs) in self.paths:
                raise fail(text, f"'{rhs} ~ {lhs}' says the same again. Keep one.", term.span)
        for term in self.source.terms:
            if term.sample and not {term.lhs, term.rhs} <= set(self.covariates):
                message = "START*, a value that semopy finds in the data, is not taken over."
                raise fail(text, f"{message} Write a number.", term.span)
        for term in self.source.paths.values():
            if term.rhs == "1" and self.intercepts == "none":
                message = "a Model has no intercepts (it looks for a variable '1'). Use ModelMeans"
                raise fail(text, f"{message}, or pass the text instead of the object.", term.span)
        for term in self._written.values():
            self._check_covariance(term)
        self._check_covariates()

    def _check_covariance(self, term: Term) -> None:
        text, a, b = self.source.text, term.lhs, term.rhs
        for name in (a, b):
            if name not in self.variables:
                message = f"{name!r} is in no loading or regression"
                raise fail(text, f"{message}; semopy wants FORCE(endo) {name} with it.", term.span)
        if a != b and (b, a) in self._written:
            raise fail(text, f"'{b} ~~ {a}' says the same again. Keep one.", term.span)
        if (a in self.outputs) != (b in self.outputs) and term.fixed != 0.0:
            last, other = (a, b) if a in self.outputs else (b, a)
            raise fail(
                text,
                f"semopy adds this covariance to those of the data, apart from the paths: {last} "
                f"sends no arrow, {other} does. lavaan's syntax has no such parameter. "
                f"With '{last} ~ 0*{last}' added it becomes a covariance of residuals in both.",
                term.span,
            )

    def _check_covariates(self) -> None:
        """Moments of covariates that are kept at the data's are harmless only if none is bound."""
        covariates = set(self.covariates)
        terms = [
            term
            for term in self._written.values()
            if not term.sample and covariates & {term.lhs, term.rhs}
        ]
        bound = [t for t in terms if not t.plain or not {t.lhs, t.rhs} <= covariates]
        pairs = [*((v, v) for v in self.covariates), *combinations(self.covariates, 2)]
        missing = [f"{term.lhs} ~~ {term.rhs}" for term in self._missing(pairs)]
        if bound and missing:
            rows = "', '".join(missing)
            raise fail(
                self.source.text,
                "semopy keeps the other moments of the exogenous variables at the data's, which "
                f"lavaan's syntax cannot say beside this. Write them too: '{rows}'.",
                bound[0].span,
            )


def _is_idle(term: Term) -> bool:
    return term.lhs == term.rhs and term.fixed == 0.0
