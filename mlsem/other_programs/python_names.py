"""Names of statsmodels, pyfixest, linearmodels and semopy: (names, program, here, note)."""

from __future__ import annotations

PYTHON: tuple[tuple[str, str, str, str], ...] = (
    # --- statsmodels, linearmodels ---
    ("mixedlm MixedLM", "statsmodels", "mlsem.lmm(formula, data)", '"y ~ x1 + (x1 | id)".'),
    ("ols OLS", "statsmodels", 'mlsem.fit("y ~ x1 + w1", data, meanstructure=True)', ""),
    ("fe_params", "statsmodels", "mixed.fixef()", "They have the names of lme4."),
    ("bse_fe std_errors", "statsmodels", "fit.bse", ""),
    ("cov_re vcomp", "statsmodels", "mixed.VarCorr()", ""),
    ("scale", "statsmodels", "mixed.VarCorr().residual", ""),
    ("llf", "statsmodels", "fit.loglik", ""),
    ("cov_params cov", "statsmodels", "fit.vcov()", ""),
    ("tstats zvalues", "statsmodels", "fit.tvalues", ""),
    ("fittedvalues get_prediction", "statsmodels", "fit.predict(data)", ""),
    ("t_test f_test wald_test_terms", "statsmodels", 'fit.wald_test("b == 0")', ""),
    ("compare_lr_test", "statsmodels", "mlsem.lr_test(simple, full)", ""),
    ("summary2 summary_frame", "statsmodels", "fit.summary()", ""),
    ("df", "Python", 'fit.parameter_estimates()["df"]', "Each parameter has its own."),
    ("to_csv head to_frame frame", "Python", "fit.parameter_estimates()", "It is a data frame."),
    (
        "to_latex to_markdown to_html to_excel to_docx to_word as_latex",
        "Python",
        "mlsem.summary_table([fit])",
        "It has to_latex, to_markdown, to_html (which Word reads) and to_excel.",
    ),
    (
        "get_robustcov_results",
        "statsmodels",
        'fit.with_se("CR2")',
        "Nothing is fitted again.",
    ),
    ("save remove_data", "statsmodels", "", "A fit keeps no rows, and is saved by pickle."),
    # --- pyfixest ---
    (
        "feols",
        "pyfixest",
        'mlsem.fit("y ~ x1", data, cluster="id", center={"x1": "cluster", "y": "cluster"}, '
        'se="CR2")',
        "Clusters have random effects in mlsem.lmm; fixed effects of clusters are centring.",
    ),
    ("tstat", "pyfixest", "fit.tvalues", ""),
    ("pvalue", "pyfixest", "fit.pvalues", ""),
    ("ccv ritest", "pyfixest", 'fit.bootstrap("wild", draws=99, seed=1)', ""),
    (
        "coefplot iplot",
        "pyfixest",
        "fit.plot_coefficients()",
        "",
    ),
    # --- semopy ---
    (
        "Model ModelMeans ModelEffects",
        "semopy",
        'mlsem.fit(model, data, cluster="id")',
        "A fit is complete: there is no second step.",
    ),
    (
        "calc_stats gather_statistics",
        "semopy",
        "fit.fit_measures()",
        "mlsem.interop.semopy.calc_stats(fit) has semopy's table.",
    ),
    ("predict_factors", "semopy", "fit.predict_latent(level=2)", ""),
    ("semplot", "semopy", "fit.diagram()", ""),
    ("estimate_means calc_se", "semopy", "fit.parameter_estimates()", ""),
    ("bias_correction", "semopy", 'fit.bootstrap("pairs", draws=19, seed=1)', ""),
    # --- what Mplus calls its output ---
    ("stdyx STDYX", "Mplus", 'fit.standardized("all")', ""),
    ("MODINDICES", "Mplus", "fit.modification_indices(minimum=10)", ""),
    ("cinterval CINTERVAL", "Mplus", "fit.conf_int()", ""),
    ("fscores FSCORES", "Mplus", "fit.predict_latent(level=2)", ""),
    ("tech1", "Mplus", "mlsem.check(model, data)", ""),
    ("tech3", "Mplus", "fit.vcov()", ""),
    ("tech4", "Mplus", 'fit.inspect("cov.lv")', ""),
)
