"""The first calls of users of R: what they write there, what they first try here, and what is to be
written. The pages "Coming from ..." print these."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Call:
    """A call of R.

    Attributes
    ----------
    there : str
        As in R.
    tried : str
        As one types it here without having read anything.
    here : str
        What is to be typed; the same, if that works.
    answer : str
        What the answer to it holds; empty where it works as it was tried.
    note : str
        What differs.
    """

    there: str
    tried: str
    here: str
    answer: str = ""
    note: str = ""


def _calls(*rows: tuple[str, ...]) -> tuple[Call, ...]:
    return tuple(Call(*row) for row in rows)


LAVAAN = _calls(
    (
        'sem(model, data, cluster = "id")',
        'mlsem.sem(model, data, cluster="id")',
        'mlsem.sem(model, data, cluster="id")',
    ),
    (
        'sem(model, data, cluster = "id", estimator = "MLR")',
        'mlsem.sem(model, data, cluster="id", estimator="MLR")',
        'mlsem.sem(model, data, cluster="id", estimator="MLR")',
    ),
    (
        'cfa(factors, pupils, cluster = "cluster", std.lv = TRUE)',
        'mlsem.cfa(factors, pupils, cluster="cluster", **{"std.lv": True})',
        'mlsem.cfa(factors, pupils, cluster="cluster", std_lv=True)',
        "std_lv",
        "`.` becomes `_` in names of options",
    ),
    (
        'cfa(factors, pupils, cluster = "cluster", group = "half", group.equal = "loadings")',
        'mlsem.cfa(factors, pupils, cluster="cluster", group="half", groupequal="loadings")',
        'mlsem.cfa(factors, pupils, cluster="cluster", group="half", group_equal="loadings")',
        "group_equal",
    ),
    (
        'sem(model, data, cluster = "id", missing = "ml")',
        'mlsem.sem(model, data, cluster="id", missing="ml")',
        'mlsem.sem(model, data, cluster="id", missing="fiml")',
        "",
        "both names are known",
    ),
    (
        "summary(fit)",
        "mlsem.summary(fit)",
        "print(fit.summary())",
        "fit.summary()",
    ),
    (
        "summary(fit, fit.measures = TRUE, standardized = TRUE)",
        "fit.summary(fitmeasures=True, standardized=True)",
        "print(fit.summary(fit_measures=True, standardized=True))",
        "fit_measures",
    ),
    (
        "parameterEstimates(fit)",
        "fit.parameterEstimates()",
        "fit.parameter_estimates()",
        "fit.parameter_estimates()",
        "columns `stat`, `df`, `pvalue` in place of `z`, `pvalue`",
    ),
    (
        "standardizedSolution(fit)",
        "fit.standardizedSolution()",
        "fit.standardized()",
        'fit.standardized("all")',
    ),
    (
        'fitMeasures(fit, c("cfi", "rmsea"))',
        'fit.fitMeasures(["cfi", "rmsea"])',
        'fit.fit_measures(["cfi", "rmsea"])',
        "fit.fit_measures()",
    ),
    (
        "modindices(fit)",
        "fit.modindices()",
        "fit.modification_indices(minimum=3.84)",
        "fit.modification_indices(minimum=3.84)",
    ),
    (
        'lavInspect(fit, "icc")',
        'fit.lavInspect("icc")',
        'fit.inspect("icc")',
        'fit.inspect("sampstat")',
    ),
    (
        "lavPredict(fit, level = 2)",
        "latent.lavPredict(level=2)",
        "latent.predict_latent(level=2)",
        "fit.predict_latent(level=2)",
        "with errors of prediction; scores of rows take `data=`",
    ),
    (
        "coef(fit)",
        "fit.coef()",
        "fit.params",
        "fit.params",
    ),
    (
        "vcov(fit)",
        "fit.vcov()",
        "fit.vcov()",
    ),
    (
        "logLik(fit); AIC(fit); BIC(fit)",
        "fit.logLik()",
        "fit.loglik, fit.aic, fit.bic",
        "fit.loglik",
    ),
    (
        "anova(simple, full)",
        "mlsem.anova(simple, full)",
        "mlsem.lr_test(simple, full)",
        "mlsem.lr_test(simple, full)",
    ),
    (
        "lavTestLRT(simple, full)",
        "mlsem.lavTestLRT(simple, full)",
        "mlsem.lr_test(simple, full)",
        "mlsem.lr_test(simple, full)",
    ),
    (
        'lavTestWald(fit, "b == 0")',
        'fit.lavTestWald("b == 0")',
        'fit.wald_test("b == 0")',
        'fit.wald_test("b == 0")',
    ),
    (
        'lavTestScore(fit, add = "y1 ~ w1")',
        'latent.lavTestScore(add="y1 ~ w1")',
        'latent.score_test(add="y1 ~ w1")',
        'fit.score_test("y1 ~ w1")',
    ),
)

LME4 = _calls(
    (
        "lmer(y ~ x1 * w1 + (x1 | id), data)",
        'mlsem.lmer("y ~ x1 * w1 + (x1 | id)", data)',
        'mlsem.lmm("y ~ x1 * w1 + (x1 | id)", data)',
        "mlsem.lmm(formula, data)",
        "the formula is a text",
    ),
    (
        "lmer(y ~ x1 + (1 | id), data, REML = FALSE)",
        'mlsem.lmm("y ~ x1 + (1 | id)", data, REML=False)',
        'mlsem.lmm("y ~ x1 + (1 | id)", data, REML=False)',
    ),
    (
        "lme(y ~ x1, data, random = ~ 1 | id)",
        'mlsem.lmm("y ~ x1, random = ~ 1 | id", data)',
        'mlsem.lmm("y ~ x1 + (1 | id)", data)',
        "'y ~ x1 + (1 | id)'",
    ),
    (
        "summary(mixed)",
        "mixed.summary()",
        "print(mixed.summary())",
    ),
    (
        "fixef(mixed)",
        "mixed.fixef()",
        "mixed.fixef()",
    ),
    (
        "ranef(mixed)",
        "mixed.ranef()",
        "mixed.random_effects()",
        "fit.random_effects()",
        "with standard errors",
    ),
    (
        "VarCorr(mixed)",
        "mixed.VarCorr()",
        "print(mixed.VarCorr())",
    ),
    (
        "confint(mixed)",
        "mixed.confint()",
        "mixed.conf_int()",
        "fit.conf_int()",
        '`ci="profile"` for variances',
    ),
    (
        "anova(simple, full)",
        "simple.anova(full)",
        "mlsem.lr_test(simple, full)",
        "mlsem.lr_test(simple, full)",
        "ML fits; a variance is tested by its mixture of chi-squares",
    ),
    (
        "isSingular(mixed)",
        "mixed.isSingular()",
        "mixed.singular",
        "fit.singular",
    ),
    (
        "predict(mixed, newdata = data)",
        "mixed.predict(newdata=data)",
        "mixed.predict(data)",
        "It is data=.",
    ),
    (
        'summary(mixed, ddf = "Kenward-Roger")',
        'mixed.summary(ddf="Kenward-Roger")',
        'print(mixed.with_se("standard", df="kenward-roger").summary())',
        'fit.with_se("standard", df=',
    ),
)

CLUBSANDWICH = _calls(
    (
        'vcovCR(fit, type = "CR2")',
        'mlsem.vcovCR(fit, type="CR2")',
        'fit.with_se("CR2").vcov()',
        'fit.with_se("CR2").vcov()',
    ),
    (
        'coef_test(fit, vcov = "CR2")',
        'fit.coef_test(vcov="CR2")',
        'fit.with_se("CR2").parameter_estimates()',
        'fit.with_se("CR2").parameter_estimates()',
    ),
    (
        'coef_test(fit, vcov = "CR1", test = "naive-t")',
        'fit.with_se("CR1").coef_test()',
        'fit.with_se("CR1").parameter_estimates()',
        'fit.with_se("CR2").parameter_estimates()',
    ),
    (
        'conf_int(fit, vcov = "CR2")',
        'fit.conf_int(vcov="CR2")',
        'fit.with_se("CR2").conf_int()',
        'fit.with_se("CR2")',
    ),
    (
        'Wald_test(fit, constrain_zero("b"), vcov = "CR2")',
        'fit.Wald_test("b == 0", vcov="CR2")',
        'fit.wald_test("b == 0", vcov="CR2")',
        'fit.with_se("CR2").wald_test("b == 0")',
        "the test is HTZ",
    ),
    (
        "constrain_equal(c(2, 3))",
        "mlsem.constrain_equal([2, 3])",
        'mixed.with_se("CR2").wald_test("`x1` == `w1`")',
        'fit.with_se("CR2").wald_test("b == 0")',
        "constraints are a text; names without a label stand in backticks",
    ),
    (
        'vcovCR(fit, cluster = data$id, type = "CR2")',
        'fit.with_se("CR2", cluster="id")',
        'mlsem.fit(model, data, cluster="id", se="CR2", se_cluster="id")',
        "se_cluster=",
        "coarser clusters are named in the call",
    ),
    (
        "coeftest(fit, vcov. = vcovCL, cluster = ~id)",
        "mlsem.coeftest(fit)",
        'fit.with_se("CR1").parameter_estimates()',
        'fit.with_se("CR2").parameter_estimates()',
    ),
)

OTHERS = _calls(
    (
        "semTools::compRelSEM(latent)",
        "latent.compRelSEM()",
        "latent.reliability()",
        "fit.reliability()",
    ),
    (
        "semTools::reliability(latent)",
        "mlsem.reliability(latent)",
        "latent.reliability()",
        "fit.reliability()",
    ),
    (
        'semTools::measEq.syntax(factors, pupils, group = "half")',
        'mlsem.measurementInvariance(factors, pupils, group="half")',
        'mlsem.invariance(factors, pupils, group="half", cluster="cluster")',
        'mlsem.invariance(factors, pupils, group="half", cluster="cluster")',
        "all steps with their tests",
    ),
    (
        "performance::icc(mixed)",
        "mixed.icc()",
        "mixed.icc()",
    ),
    (
        "performance::r2(mixed)",
        "mixed.r2()",
        "mixed.r_squared()",
        "fit.r_squared()",
    ),
    (
        "performance::check_model(mixed)",
        "mlsem.check_model(mixed)",
        "mixed.cluster_diagnostics()",
        "fit.cluster_diagnostics()",
    ),
    (
        'emmeans::emtrends(mixed, ~ w1, var = "x1")',
        'mixed.emtrends("w1", var="x1")',
        'mixed.marginal_slopes("x1", "w1")',
        'mixed.marginal_slopes("x1", "f")',
    ),
    (
        "broom::tidy(fit); broom::glance(fit)",
        "fit.tidy()",
        "fit.tidy(), fit.glance()",
    ),
    (
        "modelsummary(list(simple, full))",
        "mlsem.modelsummary([simple, full])",
        "print(mlsem.summary_table([simple, full]))",
        "mlsem.summary_table([simple, full])",
    ),
)

CALLS = {"lavaan": LAVAAN, "lme4": LME4, "clubSandwich": CLUBSANDWICH, "others": OTHERS}
