"""Names of lavaan, semTools and what draws lavaan's models: (names, program, here, note)."""

from __future__ import annotations

_NO_CATEGORIES = "It is for ordered variables, which are not fitted here."

LAVAAN: tuple[tuple[str, str, str, str], ...] = (
    # --- what was estimated ---
    (
        "parameterEstimates parameterestimates",
        "lavaan",
        "fit.parameter_estimates()",
        "Columns stat, df and pvalue stand in place of z; standardized=True adds std_lv and "
        "std_all.",
    ),
    (
        "standardizedSolution standardizedsolution standardizedEstimates",
        "lavaan",
        'fit.standardized("all")',
        '"lv" and "nox" are the other kinds.',
    ),
    ("parTable partable parameterTable parametertable", "lavaan", "fit.table.rows", ""),
    ("coef coefficients", "R", "fit.params", "Of the clusters' own coefficients see ranef."),
    ("se std.error std_error", "R", "fit.bse", ""),
    (
        "lavInspect lavTech lavinspect lavtech",
        "lavaan",
        'fit.inspect("sampstat")',
        'It takes the names of R: "implied", "h1", "icc", "rsquare", "vcov", …',
    ),
    ("inspectSampleCov", "lavaan", 'fit.inspect("sampstat")', ""),
    ("lavNames", "lavaan", "fit.table.observed", ""),
    ("lavOptions lavoptions", "lavaan", "fit.settings", "help(mlsem.fit) lists all options."),
    ("lavCor lav_cor", "lavaan", 'fit.inspect("cor.ov")', ""),
    (
        "fitted fitted.values fitted_values",
        "R",
        "fit.implied(level=2).cov",
        "Those are the moments that the model implies, as in lavaan; expected outcomes of rows, "
        "as in lme4, are fit.predict(data).",
    ),
    # --- how well it fits ---
    (
        "fitMeasures fitmeasures fit.measures",
        "lavaan",
        "fit.fit_measures()",
        "Among them chisq.score, a score test of fit that holds its level with few clusters.",
    ),
    (
        "cfi rmsea tli srmr chisq",
        "lavaan",
        'fit.fit_measures(["cfi", "rmsea", "srmr"])',
        "",
    ),
    (
        "modindices modificationIndices modificationindices modindex",
        "lavaan",
        "fit.modification_indices(minimum=3.84)",
        "",
    ),
    (
        "lavResiduals",
        "lavaan",
        'fit.residuals("cor.bentler", level=1)',
        'cov, cov_z, mean, … are attributes; "raw" and "standardized" are other kinds.',
    ),
    (
        "resid",
        "R",
        "fit.residuals(level=1)",
        "Residual moments, as in lavaan; which rows and clusters fit badly say "
        "fit.row_residuals(data) and fit.cluster_residuals().",
    ),
    ("logLik", "R", "fit.loglik", ""),
    ("deviance", "R", "-2 * fit.loglik", ""),
    ("AIC", "R", "fit.aic", ""),
    ("BIC", "R", "fit.bic", ""),
    ("nobs ntotal", "R", "fit.n_obs", ""),
    ("npar", "lavaan", "fit.n_params", ""),
    ("nclusters ngrps", "R", "fit.n_clusters", ""),
    ("df.residual df_resid", "R", 'fit.fit_measures("df")', ""),
    # --- tests ---
    (
        "anova",
        "R",
        "mlsem.lr_test(simple, full)",
        'With estimator="MLR" it is scaled; fits of lmm take REML=False.',
    ),
    (
        "lavTestLRT lavtestLRT",
        "lavaan",
        "mlsem.lr_test(simple, full)",
        'With estimator="MLR" it is scaled (Satorra & Bentler, 2001); method="score" holds its '
        "level with few clusters.",
    ),
    (
        "lavTestWald lavtestWald",
        "lavaan",
        'fit.wald_test("b == 0")',
        'Over labels, or over names of fit.params in backticks: "`y~x1` == 0".',
    ),
    (
        "lavTestScore lavtestScore",
        "lavaan",
        'fit.score_test("y1 ~ w1")',
        "add= says what is added, release= which equality is given up.",
    ),
    ("lavTest", "lavaan", 'fit.fit_measures(["chisq", "df", "pvalue"])', ""),
    # --- scores, draws ---
    (
        "lavPredict",
        "lavaan",
        "fit.predict_latent(level=2)",
        "With standard errors of prediction; scores of rows take data=, for a fit keeps no rows.",
    ),
    ("lavPredictY", "lavaan", "fit.predict(data)", ""),
    ("estfun lavScores estfun.lavaan", "lavaan", "fit.scores()", "One row for each cluster."),
    (
        "bootstrapLavaan",
        "lavaan",
        'fit.bootstrap("pairs", draws=19, seed=1)',
        "It draws clusters, not rows; take draws=1000 or more.",
    ),
    (
        "bootstrapLRT",
        "lavaan",
        "mlsem.lr_test(simple, full)",
        "Tests of variances have their mixture of chi-squares.",
    ),
    (
        "simulateData",
        "lavaan",
        "mlsem.simulate(truth, n_clusters=50, cluster_size=10, seed=1)",
        "The model text has the values: 'y ~ 0.5*x'.",
    ),
    (
        "lavaanList semList cfaList",
        "lavaan",
        'mlsem.study((truth, {"cluster_size": 10}), {"ML": {"model": model, "cluster": "id"}}, 10)',
        "Simulation, estimation and tables of bias and coverage in one.",
    ),
    # --- the model before it is fitted ---
    (
        "lavaanify lavParTable lavPartable lavMatrixRepresentation",
        "lavaan",
        "mlsem.check(model, data)",
        "",
    ),
    ("parseModelString lavParseModelString", "lavaan", "mlsem.check(model)", ""),
    (
        "lavExport mplus2lavaan",
        "lavaan",
        "",
        "Mplus inputs are translated by the command mlsem port model.inp.",
    ),
    ("cor2cov", "lavaan", "", "Models are fitted to rows, not to covariance matrices."),
    ("getCov char2num", "lavaan", "", "Models are fitted to rows, not to covariance matrices."),
    ("efa", "lavaan", "", "Write the loadings as a model: 'f =~ y1 + y2 + y3'."),
    ("sam fsr", "lavaan", 'mlsem.fit(model, data, cluster="id")', "Both steps at once, by ML."),
    ("lavTablesFitCp lavTables lavTablesFitCf", "lavaan", "", _NO_CATEGORIES),
    ("InformativeTesting", "lavaan", "", "Inequalities are written in the model: 'a > b'."),
    # --- semTools ---
    (
        "compRelSEM",
        "semTools",
        "fit.reliability()",
        "ω and α of each level, of cluster means and of factor scores, with intervals.",
    ),
    ("AVE reliabilityL2 maximalRelia alpha omega", "semTools", "fit.reliability()", ""),
    (
        "measurementInvariance measEq.syntax measEq_syntax longInvariance",
        "semTools",
        'mlsem.invariance(factors, pupils, group="half", cluster="cluster")',
        "All steps with their tests; one step is group_equal=[…] of mlsem.fit.",
    ),
    (
        "measurementInvarianceCat",
        "semTools",
        "",
        _NO_CATEGORIES,
    ),
    (
        "partialInvariance",
        "semTools",
        "fit.modification_indices()",
        'group_partial=["f=~y3"] of mlsem.fit frees one; invariance has worst().',
    ),
    ("compareFit compareFitMeasures", "semTools", "mlsem.compare([simple, full])", ""),
    ("moreFitIndices nullRMSEA", "semTools", "fit.fit_measures()", ""),
    (
        "indProd orthogonalize",
        "semTools",
        'mlsem.fit("level: 1\\n y ~ x1 + w1:x1\\nlevel: 2\\n y ~ w1", data, cluster="id")',
        "Products of observed variables are made for you; latent ones are not fitted.",
    ),
    (
        "probe2WayMC probe2WayRC plotProbe",
        "semTools",
        'mixed.simple_slopes("x1", "w1")',
        "",
    ),
    (
        "monteCarloCI monteCarloMed",
        "semTools",
        'fit.effects("y", "x1", ci="monte carlo", seed=1)',
        "Defined parameters have delta-method errors in fit.parameter_estimates().",
    ),
    ("miPowerFit epcEquivFit", "semTools", "fit.modification_indices(power=0.1)", ""),
    (
        "sem.auxiliary cfa.auxiliary growth.auxiliary",
        "semTools",
        'mlsem.fit(model, data.assign(z=data.x1**2), cluster="id", missing="fiml", '
        'auxiliary=["z"])',
        "",
    ),
    (
        "htmt discriminantValidity",
        "semTools",
        'fit.inspect("cor.lv")',
        "Those are the correlations of the factors; their intervals: fit.standardized().",
    ),
    (
        "permuteMeasEq",
        "semTools",
        'mlsem.invariance(factors, pupils, group="half", cluster="cluster")',
        "Its score tests hold their level with few clusters.",
    ),
    # --- drawings ---
    (
        "semPaths lavaanPlot graph_sem prepare_graph lavaangui",
        "semPlot",
        "fit.diagram()",
        "",
    ),
)
