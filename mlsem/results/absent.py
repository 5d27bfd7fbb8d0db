"""What some kinds of fits do not have and others do: why, and what to do instead."""

from __future__ import annotations

from mlsem.other_programs.answering import reasons

BY_LEVELS = (
    'models in the language have it, mlsem.fit(model, data, cluster=["school", "class"]) with '
    "level: 1 to level: 3, by maximum likelihood"
)
IN_THE_LANGUAGE = "it is of models in the language, mlsem.fit"
WRITTEN = "summary().to_html(path=…) writes a page of the fit"
OTHER_ERRORS = "with_se(…) has other standard errors of the same fit"
LIMITS = "conf_int() has the limits"
HOW_FITTED = "it is of fits by mlsem.fit and of mixed models of two levels"

OF_THREE_LEVELS = reasons(
    {
        BY_LEVELS: (
            "fit_measures h1 baseline modification_indices score_test standardized diagram "
            "bootstrap inspect implied"
        ),
        "a mixed model has no latent variables": "predict_latent reliability align compare_groups",
        "marginal_slopes() has the slopes": "simple_slopes plot_interaction",
        "residuals() has those of rows, random_effects() what clusters have": (
            "row_residuals cluster_residuals plot_residuals"
        ),
        "random_effects() has the numbers": "plot_random_effects",
        LIMITS: "plot_coefficients",
        'conf_int(ci="profile") has the limits': "plot_profile",
        OTHER_ERRORS: "compare_se",
        WRITTEN: "report",
        "residual variances that differ go with two levels, '(1 | school)'": "variance_test",
        HOW_FITTED: "information scores se_forms starts replicates weight_scalings",
    }
)
"""Of `NestedResult`."""

GENERALIZED = reasons(
    {
        "the likelihood takes the rows of a cluster for independent; wald_test compares models": (
            "loglik aic bic"
        ),
        "clusters are in the standard errors, and of mlsem.gee in the working correlation; there "
        "are no random effects": "icc random_effects plot_random_effects singular VarCorr",
        "params has the coefficients": "fixef",
        "mlsem.lmm has R² of linear models": "r_squared",
        "predict() has the expected outcomes of rows": (
            "fitted residuals row_residuals cluster_residuals plot_residuals"
        ),
        "effects() has averages, differences and slopes, by= the values of another variable": (
            "simple_slopes plot_interaction marginal_means marginal_slopes contrast"
        ),
        IN_THE_LANGUAGE: (
            "standardized fit_measures h1 baseline modification_indices score_test implied "
            "inspect predict_latent reliability align compare_groups diagram"
        ),
        LIMITS: "plot_profile",
        OTHER_ERRORS: "compare_se",
        WRITTEN: "report",
        "mlsem.lmm has residual variances": "variance_test",
        HOW_FITTED: "information scores se_forms starts replicates weight_scalings n_iterations",
    }
)
"""Of `GlmResult`."""
