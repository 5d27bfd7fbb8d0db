"""Names of lme4, nlme, lmerTest, clubSandwich, performance, emmeans, broom and their kin:
(names, program, here, note)."""

from __future__ import annotations

_GLM = 'mlsem.glm("y ~ x1", data, cluster="id", family="gaussian")'
_NO_LINK = (
    "Random effects have normal outcomes only. Binary outcomes and counts have averages over "
    'clusters with errors that hold with few of them, family="binomial" or "poisson"; a working '
    "correlation is mlsem.gee."
)
_MARGINAL = "Of fits by mlsem.lmm: adjusted means with their degrees of freedom."

MIXED: tuple[tuple[str, str, str, str], ...] = (
    # --- lme4, nlme ---
    (
        "lmer",
        "lme4",
        "mlsem.lmm(formula, data)",
        "The formula is a text, with one grouping factor or two nested ones; REML=False for ML.",
    ),
    (
        "lme",
        "nlme",
        "mlsem.lmm(formula, data)",
        'The random part stands in the formula, "y ~ x1 + (x1 | id)"; residuals are independent '
        'within clusters, with a variance for each group by residual="g".',
    ),
    ("gls lmList", "nlme", "mlsem.lmm(formula, data)", ""),
    (
        "varIdent",
        "nlme",
        "mlsem.lmm(formula, data)",
        'With residual="g" the groups of a column have residual variances of their own.',
    ),
    (
        "varPower varExp varFunc varConstPower",
        "nlme",
        "",
        'Residual variances differ between groups alone, residual="g": cut the number into groups.',
    ),
    (
        "lm",
        "R",
        'mlsem.fit("y ~ x1 + w1", data, meanstructure=True)',
        'With cluster="id" its standard errors are cluster-robust.',
    ),
    ("glmer glmer.nb", "lme4", _GLM, _NO_LINK),
    ("nlmer", "lme4", "", "Effects are linear in their parameters."),
    (
        "glmmTMB",
        "glmmTMB",
        _GLM,
        _NO_LINK + " Normal outcomes with random effects are mlsem.lmm(formula, data).",
    ),
    (
        "fixef fixed.effects fixed_effects",
        "lme4",
        "mixed.fixef()",
        "Of a model by levels all parameters are fit.params.",
    ),
    (
        "ranef random.effects",
        "lme4",
        "fit.random_effects()",
        "Of each cluster, with standard errors.",
    ),
    (
        "VarCorr getVarCov",
        "lme4",
        "mixed.VarCorr()",
        "Of a model by levels they are the variances of level 2 in fit.parameter_estimates().",
    ),
    (
        "sigma",
        "R",
        "mixed.VarCorr().sigma",
        "In a model by levels it is the root of the variance of level 1.",
    ),
    ("isSingular", "lme4", "fit.singular", ""),
    ("isREML isLMM", "lme4", "fit.settings.estimator", ""),
    ("REMLcrit", "lme4", "-2 * fit.loglik", "Of a fit by REML the log-likelihood is restricted."),
    (
        "confint",
        "R",
        "fit.conf_int()",
        'Of variances ci="profile" is better; fit.bootstrap() draws.',
    ),
    ("intervals", "nlme", "fit.conf_int()", ""),
    ("profile", "lme4", 'fit.conf_int(ci="profile")', "For variances; other parameters have t."),
    (
        "ranova rand drop1 exactRLRT",
        "lmerTest",
        "mlsem.lr_test(simple, full)",
        "Fit the model with and without the random effect; the test has the mixture of "
        "chi-squares that a variance needs.",
    ),
    (
        "refit refitML",
        "lme4",
        "mixed.update(REML=False)",
        "With data=, the same of other rows.",
    ),
    ("bootMer", "lme4", 'mixed.bootstrap("parametric", draws=19, seed=1)', "Take 1000 or more."),
    ("allFit", "lme4", 'mlsem.fit(model, data, cluster="id", starts=2, seed=1)', ""),
    (
        "getME model.matrix model_matrix model.frame model_frame",
        "R",
        "",
        "A fit keeps moments of the data, no rows or design.",
    ),
    ("getCall call", "R", "fit.model", "The options are fit.settings."),
    ("formula terms", "R", "fit.model", ""),
    ("rePCA", "lme4", "fit.singular", ""),
    (
        "lmerControl glmerControl lmeControl",
        "lme4",
        "",
        "One optimiser; max_iter= and tol= end it.",
    ),
    (
        "influence cooks.distance hatvalues dfbeta dfbetas",
        "R",
        "fit.cluster_diagnostics()",
        "Which clusters carry which estimate; exact=True leaves each out.",
    ),
    ("dotplot qqmath", "lme4", "fit.random_effects()", "Their figure: fit.plot_random_effects()."),
    (
        "plot",
        "R",
        "fit.plot_coefficients()",
        "Others begin with plot_, too: fit.plot_random_effects(), fit.plot_interaction(…).",
    ),
    ("data", "R", "", "A fit keeps moments of the data, no rows."),
    ("step", "R", "mlsem.compare([simple, full])", "Models are not chosen automatically here."),
    # --- lmerTest, pbkrtest ---
    (
        "contest contest1D contestMD calcSatterth",
        "lmerTest",
        'mixed.wald_test("`w1`; `x1:w1`")',
        "Names of fixed effects stand in backticks.",
    ),
    (
        "KRmodcomp vcovAdj",
        "pbkrtest",
        'mixed.with_se("standard", df="kenward-roger").wald_test("`w1`; `x1:w1`")',
        "",
    ),
    ("SATmodcomp", "pbkrtest", 'mixed.wald_test("`w1`; `x1:w1`")', ""),
    ("PBmodcomp", "pbkrtest", "mlsem.lr_test(simple, full)", ""),
    ("ls_means lsmeansLT difflsmeans", "lmerTest", 'mixed.marginal_means("f")', _MARGINAL),
    # --- clubSandwich, sandwich, lmtest ---
    (
        "vcovCR",
        "clubSandwich",
        'fit.with_se("CR2").vcov()',
        'Other types: "CR0", "CR1", "CR1p", "CR1S", "CR3".',
    ),
    (
        "vcovCL vcovHC vcovBS sandwich cluster.vcov cluster_vcov",
        "sandwich",
        'fit.with_se("CR1").vcov()',
        'With few clusters take "CR2".',
    ),
    (
        "coef_test",
        "clubSandwich",
        'fit.with_se("CR2").parameter_estimates()',
        "Satterthwaite's degrees of freedom come with it.",
    ),
    ("coeftest", "lmtest", 'fit.with_se("CR2").parameter_estimates()', ""),
    ("waldtest", "lmtest", 'fit.wald_test("b == 0")', ""),
    ("lrtest", "lmtest", "mlsem.lr_test(simple, full)", ""),
    (
        "Wald_test",
        "clubSandwich",
        'fit.with_se("CR2").wald_test("b == 0")',
        "HTZ is the default test of CR2.",
    ),
    (
        "constrain_zero constrain_equal constrain_pairwise",
        "clubSandwich",
        'fit.with_se("CR2").wald_test("b == 0")',
        'Constraints are a text: "a == 0; b == c".',
    ),
    (
        "linear_contrast",
        "clubSandwich",
        'fit.with_se("CR2").wald_test("b == 0")',
        "Or define the contrast in the model, 'd := a - b'.",
    ),
    ("linearHypothesis glht", "R", 'fit.wald_test("b == 0")', ""),
    ("boottest wildboottest", "fwildclusterboot", 'fit.bootstrap("wild", draws=99, seed=1)', ""),
    # --- performance, MuMIn, insight ---
    (
        "r2 r2_nakagawa rsquared r.squaredGLMM",
        "performance",
        "fit.r_squared()",
        "Marginal and conditional R², its parts, and R² by level.",
    ),
    ("ICC", "performance", "fit.icc()", ""),
    (
        "model_performance performance",
        "performance",
        "fit.glance()",
        "Fit measures are fit.fit_measures().",
    ),
    ("compare_performance", "performance", "mlsem.compare([simple, full])", ""),
    (
        "check_model check_outliers check_residuals check_normality",
        "performance",
        "fit.cluster_diagnostics()",
        "Beside fit.cluster_residuals() and fit.row_residuals(data).",
    ),
    ("check_singularity", "performance", "fit.singular", ""),
    ("check_convergence", "performance", "fit.converged", ""),
    ("get_variance", "insight", "mixed.VarCorr()", "fit.r_squared() has their parts."),
    ("model_parameters parameters", "parameters", "fit.tidy()", ""),
    ("standardize standardize_parameters", "effectsize", 'fit.standardized("all")', ""),
    (
        "demean degroup",
        "datawizard",
        'mlsem.cluster_means(data, ["x1"], cluster="id")',
        'Centred at their means: center={"x1": "cluster"} in the call. mlsem.within_between fits '
        "both parts.",
    ),
    # --- emmeans, marginaleffects, interactions ---
    ("emmeans lsmeans ref_grid emmip", "emmeans", 'mixed.marginal_means("f")', _MARGINAL),
    ("marginal_means", "marginaleffects", 'mixed.marginal_means("f")', _MARGINAL),
    (
        "contrast",
        "emmeans",
        'mixed.contrast("x1 = 1 - x1 = 0")',
        'Of fits by mlsem.lmm; of a model by levels fit.wald_test("b == 0").',
    ),
    (
        "emtrends lstrends",
        "emmeans",
        'mixed.marginal_slopes("x1", "f")',
        "Of fits by mlsem.lmm; slopes at values of a moderator are fit.simple_slopes(…), of both.",
    ),
    ("pairs", "emmeans", 'mixed.marginal_means("f").pairs()', "Differences of marginal means."),
    ("joint_tests", "emmeans", 'fit.wald_test("b == 0")', ""),
    (
        "slopes avg_slopes marginaleffects margins",
        "marginaleffects",
        'mixed.simple_slopes("x1", "w1")',
        "",
    ),
    ("predictions avg_predictions ggpredict", "marginaleffects", "fit.predict(data)", ""),
    (
        "sim_slopes johnson_neyman probe_interaction",
        "interactions",
        'mixed.simple_slopes("x1", "w1")',
        "",
    ),
    ("interact_plot plot_model", "interactions", 'mixed.plot_interaction("x1", "w1")', ""),
    # --- broom and tables ---
    ("augment", "broom", "fit.predict(data)", ""),
    (
        "modelsummary msummary texreg screenreg stargazer tab_model etable",
        "modelsummary",
        "mlsem.summary_table([simple, full])",
        "Tests between them and fit measures are mlsem.compare([simple, full]).",
    ),
    # --- reading data ---
    (
        "read.csv read_csv read.table fread read_delim",
        "R",
        "",
        "Read files with pandas: pandas.read_csv(…), and give the data frame to mlsem.fit.",
    ),
    ("read_sav read_spss", "haven", "", "Read the file with pandas: pandas.read_spss(…)."),
    ("read_dta read_stata", "haven", "", "Read the file with pandas: pandas.read_stata(…)."),
)
