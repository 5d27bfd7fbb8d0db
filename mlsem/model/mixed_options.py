"""Options that a linear mixed model does not take, each with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlsem.errors import OptionError, OptionValueError

if TYPE_CHECKING:
    from collections.abc import Iterable

_LATENT = "it is about latent variables, and a mixed model has none; mlsem.fit takes it"
_PARTS = "the formula says which parameters there are; mlsem.fit takes it"

MEANINGLESS = {
    # of mlsem.fit
    "cluster": "the clusters are what follows '|' in the formula: (1 | id); coarser ones of robust "
    "errors are se_cluster=",
    "center": "centre in the formula, I(x1 - mean(x1)), or in the data, mlsem.cluster_means",
    "std_lv": _LATENT,
    "auto_fix_first": _LATENT,
    "auto_fix_single": _LATENT,
    "auto_cov_lv_x": _LATENT,
    "int_lv_free": _LATENT,
    "fixed_x": "the covariates of a mixed model are always conditioned on",
    "meanstructure": "a mixed model always has means",
    "auto_var": _PARTS,
    "auto_cov_y": _PARTS,
    "int_ov_free": "the intercept is 1 or 0 in the formula",
    "orthogonal": "random effects without covariances are written (x1 || id)",
    "bounds": "covariances of random effects are kept positive semidefinite as it is",
    "group": "for groups that differ let the group stand in the formula, y ~ g*x + (1 | id); "
    "mlsem.fit takes it",
    "group_label": "the groups are levels of a factor in the formula; mlsem.fit takes it",
    "group_equal": "a mixed model is one of one group; mlsem.fit takes it",
    "group_partial": "a mixed model is one of one group; mlsem.fit takes it",
    "level_equal": "a mixed model has no loadings; mlsem.fit takes it",
    # of lme4's lmer
    "offset": "subtract it from the outcome in the data",
    "subset": "take the rows of the data: data[data.x1 > 0]",
    "na_action": 'rows with missing values are left out (missing="listwise") or an error ("error")',
    "contrasts": "codings are written in the formula: C(f, contr.sum)",
    "family": "random effects have normal outcomes only; mlsem.glm and mlsem.gee take family=, "
    "with errors that are robust to what clusters share",
    "verbose": "nothing is printed",
    # of statsmodels' mixedlm
    "groups": "the clusters are what follows '|' in the formula: (1 | id)",
    "re_formula": "random effects stand in the formula: (x1 | id)",
    "vc_formula": "random effects stand in the formula: (x1 || id)",
}


def refuse_meaningless(options: Iterable[str]) -> None:
    """Raise for the first option that says nothing of a linear mixed model.

    Raises
    ------
    OptionError
    """
    for name in options:
        if name in MEANINGLESS:
            raise OptionError(f"lmm does not take {name}=: {MEANINGLESS[name]}.")


def refuse_fiml(missing: str | None) -> None:
    """Raise for full information maximum likelihood, which a linear mixed model has none of.

    Raises
    ------
    OptionValueError
    """
    if missing is not None and missing.startswith("fiml"):
        raise OptionValueError(
            f'missing="{missing}" says nothing in lmm: covariates are conditioned on, and a row '
            "without its only outcome adds nothing to the likelihood, which is that of all rows "
            'with an outcome and covariates already. Leave it out. mlsem.fit with missing="fiml.x" '
            "models covariates that are missing."
        )
