"""Options and values of other programs: what there is here in their place, as one table.

Keywords are written without dots, underscores and capitals (`sampling.weights`,
`sampling_weights` and `SamplingWeights` are one). A sentence tells what there is, or that there is
nothing, and what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def plain(name: str) -> str:
    """The name as the tables have it."""
    return name.replace("_", "").replace(".", "").replace("-", "").lower()


def _keyed(groups: Iterable[tuple[str, str]]) -> dict[str, str]:
    return {plain(name): said for names, said in groups for name in names.split()}


_NO_ORDERED = (
    "Ordered variables are not fitted: with five or more categories treat them as numbers, with "
    'estimator="MLR"; with fewer use a program for categorical data.'
)
_WEIGHTS = (
    "Sampling weights are weights=<value> in a model of one level; with two levels those of both, "
    'weights={"total": <value>, "level2": "…"}.'
)
_GROUP = (
    "The column of the groups, each with parameters of its own, is group=<value>, which mlsem.fit "
    "and mlsem.check take."
)
_MANY = (
    "Several data sets and plausible values are fitted and pooled by mlsem.fit_many, which takes "
    "it."
)
_WHOLE_MODELS = "Steps of invariance are lists here: "
_NO_SUMMARY_DATA = (
    "Models are fitted to rows, not to covariance matrices: pass the data frame. For a "
    "single-level model draw rows that have exactly these moments."
)
_RAW_DATA_ONLY = "Models are fitted by maximum likelihood, without weight matrices: leave it out."
_ITERATIONS = "There is one optimiser: leave it out. Iterations are limited by max_iter= and tol=."
_NO_CATEGORIES = "It is for ordered variables, which are not fitted here: leave it out."
_ALWAYS = "It is always done: leave it out."
_ON_REQUEST = "It is computed when it is asked for: leave it out."
_NOTHING_PRINTED = (
    "Nothing is printed while fitting: leave it out; fit.n_iterations and fit.summary() report it."
)
_ONE_INFORMATION = (
    'The information is chosen by information="expected" or "observed"; there is no other choice.'
)
_NO_EM = "There is no EM algorithm: iterations are limited by max_iter= and tol=."
_NO_EFA = "Exploratory factors and rotation are not supported: write the loadings, 'f =~ y1 + y2'."
_BOOTSTRAP = (
    'Bootstrap a fitted model: fit.bootstrap("pairs", draws=1000, seed=1), or "wild" for few '
    "clusters."
)
_WORKERS = "Several processes are n_jobs= of fit.bootstrap() and mlsem.study()."
_WRITE_CONSTRAINTS = "Constraints are written in the model text: 'a == b', 'a > 0'."
_BASELINE = "Leave it out: a fit holds the model that was written, no baseline or saturated one."
_PLACE_OF_LMER = "mlsem.lmm takes it; mlsem.fit takes the model by levels."
_LEVELS_SAY = (
    "There are no lists of within and between variables: the level at which the model names a "
    "variable says it."
)
_TABLE_GIVEN = "The model is given as text: 'f =~ y1 + y2 + y3'."

KEYWORDS: dict[str, str] = _keyed(
    (
        # lavaan: the call
        ("ordered", _NO_ORDERED),
        ("sampling.weights weight pweights", _WEIGHTS),
        (
            "sampling.weights.normalization",
            "How weights of rows are scaled is weight_scaling=, with two levels; estimates and "
            "standard errors do not depend on the unit of the others.",
        ),
        ("group grouping", _GROUP),
        ("plausible imputation", _MANY),
        ("group.label", "It is the order of the groups, beside group=, which mlsem.fit takes."),
        ("group.w.free", "The sizes of groups are no parameters: leave it out."),
        ("sample.cov sample.mean sample.nobs sample.icov sample.cov.rescale", _NO_SUMMARY_DATA),
        ("sample.th zero.add zero.keep.margins zero.cell.warn", _NO_CATEGORIES),
        ("parameterization auto.th auto.delta link integration.ngh", _NO_CATEGORIES),
        ("WLS.V NACOV gamma.n.minus.one gamma.unbiased", _RAW_DATA_ONLY),
        ("constraints", _WRITE_CONSTRAINTS),
        (
            "slotOptions slotParTable slotSampleStats slotData slotModel slotCache sloth1",
            "It has no counterpart: the same model fitted to many data frames is prepared once.",
        ),
        ("ov.order", "Variables stand in the order of the model: leave it out."),
        ("model.type", "mlsem.sem, mlsem.cfa, mlsem.growth and mlsem.lavaan have their defaults."),
        ("level.label", "Levels are named in the model text: 'level: 1', 'level: 2'."),
        (
            "mimic",
            "The results are lavaan's (Mplus' where they agree); the README says where they differ "
            "on purpose. Leave it out.",
        ),
        # lavaan: what the model holds
        (
            "conditional.x",
            "Exogenous covariates are conditioned on by fixed_x=True, the default.",
        ),
        (
            "orthogonal.x orthogonal.y",
            "orthogonal=True is for all latent variables; for some write 'f1 ~~ 0*f2'.",
        ),
        (
            "effect.coding",
            "Write it as constraints: 'f =~ NA*l1*y1 + l2*y2 + l3*y3' and 'l1 + l2 + l3 == 3'.",
        ),
        (
            "correlation",
            "Correlation structures are not supported; standardise the columns of the data before, "
            "or leave it out.",
        ),
        ("ceq.simple", "Equal labels share one parameter always: leave it out."),
        ("auto.efa rotation rotation.se rotation.args", _NO_EFA),
        ("std.ov", "Standardise the columns first: data = (data - data.mean()) / data.std()."),
        ("ridge ridge.constant", 'There is no ridge; bounds="pos.var" keeps variances positive.'),
        # lavaan: estimation
        (
            "estimator.args",
            'The estimators have no further arguments: estimator="ML", "MLR" or "REML".',
        ),
        ("likelihood", 'It is the normal likelihood (divisor N); for REML estimator="REML".'),
        ("representation", "The RAM representation is always used: leave it out."),
        ("do.fit", "mlsem.check(model, data) shows the parameter table without fitting."),
        ("verbose debug optim.partrace", _NOTHING_PRINTED),
        (
            "warn",
            'Silence warnings in Python\'s way: warnings.simplefilter("ignore", '
            "mlsem.MlsemWarning).",
        ),
        ("control optim.method optim.attempts optim.gradient optim.init_nelder_mead", _ITERATIONS),
        ("optim.var.transform optim.parscale optim.dx.tol optim.gn.iter.max", _ITERATIONS),
        ("optim.gn.stephalf.max optim.gn.tol.x optimizer optimiser opt.method", _ITERATIONS),
        ("iterations iter.max maxiter", _ITERATIONS),
        ("optim.force.converged", 'on_failure="warn", the default, returns what was reached.'),
        (
            "optim.bounds",
            "Write 'lower(0)*x' and 'upper(1)*x' in the model, or bounds=\"pos.var\".",
        ),
        ("em.iter.max em.fx.tol em.dx.tol em.zerovar.offset", _NO_EM),
        ("em.h1.iter.max em.h1.tol em.h1.warn h1.information h1.information.meat", _BASELINE),
        ("information.meat omega.information omega.information.meat", _ONE_INFORMATION),
        ("omega.h1.information omega.h1.information.meat observed.information", _ONE_INFORMATION),
        (
            "scaled.test ug2.old.approach",
            'Compare models with mlsem.lr_test(a, b); with estimator="MLR" it is scaled.',
        ),
        ("check.start check.post check.gradient check.vcov check.lv.names", _ALWAYS),
        ("h1 baseline baseline.conditional.x.free.slopes", _BASELINE),
        ("implied loglik store.vcov", _ON_REQUEST),
        # lavaan: resampling
        ("bootstrap boot", _BOOTSTRAP),
        ("parallel ncpus cl", _WORKERS),
        (
            "rstarts",
            "Give starts=20: random starts beside the usual search; seed= makes them the same.",
        ),
        ("iseed", "Give seed= to fit.bootstrap(), mlsem.simulate() or mlsem.study()."),
        # lme4, nlme
        ("REML", 'It is REML=True or False in lmm, estimator="REML" in fit.'),
        ("method", 'It is REML=True or False in lmm, estimator="ML", "MLR" or "REML" in fit.'),
        (
            "fit.measures rsquare",
            "It is asked of the fit: fit.fit_measures(), fit.r_squared().",
        ),
        (
            "nsim",
            "One call draws one data set; many are drawn and analysed by mlsem.study.",
        ),
        (
            "na.action na.rm",
            'missing="listwise", the default, leaves rows with missing values out; "error" '
            'refuses them, "fiml" (in fit) uses what is observed in them.',
        ),
        (
            "family",
            "Only normal outcomes have random effects; mlsem.glm and mlsem.gee take family=, and "
            "mlsem.pool pools their fits to several data sets.",
        ),
        ("subset", 'Choose the rows first: data.query("x > 0") or data[data["x"] > 0].'),
        ("offset", "Subtract it from the outcome first: data.assign(y=data.y - data.offset)."),
        (
            "contrasts",
            "Code the columns first, e.g. with pandas.get_dummies; factors of lmm have treatment "
            "coding.",
        ),
        ("devFunOnly", "The log-likelihood of a fit is fit.loglik: leave it out."),
        (
            "random re.formula vc.formula",
            'Random effects stand in the formula of mlsem.lmm, "y ~ x + (x | id)", or come from '
            "the blocks 'level: 1' and 'level: 2'.",
        ),
        ("fixed formula", "The model is the first argument: fit(model, data)."),
        ("correlation.structure varfunc", "Residuals are independent within clusters."),
        # statsmodels, pyfixest
        (
            "groups",
            "The column of the clusters is cluster=<value>; that of groups with parameters of "
            "their own is group=<value>.",
        ),
        ("vcov cov.type cov.kwds robust", 'Robust errors are se="MLR" or se="CR2".'),
        ("fixef fe absorb", "There are no fixed effects to absorb: clusters have random effects."),
        # Mplus
        ("type", "Two levels are written in the model, 'level: 1' and 'level: 2', with cluster=."),
        ("within between", _LEVELS_SAY),
        ("categorical nominal count", _NO_ORDERED),
        ("centering", 'center={"x1": "cluster", "w1": "grand"} centres covariates.'),
        ("usevariables usevar names", "The model names the columns that it uses: leave it out."),
        ("algorithm integration processors convergence h1iterations miterations", _ITERATIONS),
        ("output", "Results are asked of the fit, e.g. fit.summary(): leave it out."),
        (
            "standardized std.all",
            "It is asked of the fit: fit.standardized().",
        ),
        ("montecarlo", "mlsem.simulate and mlsem.study run simulations."),
        # semopy
        (
            "obj",
            'semopy\'s "MLW" is maximum likelihood, estimator="ML"; its "FIML" is missing="fiml".',
        ),
        ("solver", _ITERATIONS),
        ("description desc partable", _TABLE_GIVEN),
        (
            "cov",
            "Models are fitted to rows, not to covariance matrices: pass the data frame.",
        ),
        ("nobs n.samples", "The number of rows is that of the data frame: leave it out."),
        # names that are nearly ours
        ("ci level conf.level", "Intervals are asked of the fit: fit.conf_int(level=0.95)."),
        ("cluster.se cluster.robust", "It is se_cluster=<value>."),
        ("id.var cluster.var group.var", "The column of the clusters is cluster=<value>."),
        (  # where cluster= is no parameter: in lmm
            "cluster",
            'lmm has the clusters in its formula: "y ~ x + (1 | id)"; for clusters of robust '
            "standard errors only, se_cluster=<value>.",
        ),
        ("meancenter centre", 'It is center={"x1": "cluster", "w1": "grand"}.'),
    )
)

# Keyword → a value of another program → what there is here.
_LEAST_SQUARES = (
    'It is a least-squares estimator; mlsem fits by maximum likelihood: estimator="MLR" has '
    "standard errors that are robust to non-normality."
)
_FOR_ORDERED = (
    "It is for ordered variables, which are not fitted here: with five or more categories "
    'estimator="MLR" treats them as numbers.'
)
_LIKE_MLR = (
    'Its estimates are those of "ML"; for standard errors robust to non-normality use "MLR".'
)
_SCALED_TEST = (
    'test= says "t" or "z" for single parameters here. Scaled tests of nested models are '
    'mlsem.lr_test(a, b) of fits with estimator="MLR".'
)
_FULL_INFORMATION = (
    'Full information maximum likelihood of data with missing values is missing="fiml", with the '
    'estimator "ML" or "MLR".'
)
_LEAVE = "Leave it out for the default."


def _values(*groups: tuple[str, str]) -> dict[str, str]:
    return _keyed(groups)


VALUES: dict[str, dict[str, str]] = {
    "estimator": _values(
        ("WLS ADF GLS ULS DLS NTRLS", _LEAST_SQUARES),
        ("DWLS WLSM WLSMV WLSMVS ULSM ULSMV ULSMVS PML FML MML catML", _FOR_ORDERED),
        ("MLM MLMV MLMVS MLF", _LIKE_MLR),
        ("FIML", _FULL_INFORMATION),
        ("BAYES", "There are no Bayesian estimates."),
        ("EM EMA", 'There is one algorithm, for the estimator "ML".'),
        ("none", "mlsem.check(model, data) shows the parameter table without fitting."),
        ("default", _LEAVE),
    ),
    "se": _values(
        ("boot bootstrap", _BOOTSTRAP),
        (
            "robust.sem robust.sem.nt robust.cluster.sem robust.mlm robust.mlr",
            'The robust errors here are "MLR" (lavaan\'s robust.huber.white) and, for few '
            'clusters, "CR2".',
        ),
        (
            "first.order external two.step twostep",
            'Use "standard", or "MLR"; fit.information("first_order") has that information.',
        ),
        ("HC0 HC1 HC2 HC3 sandwich", 'Without clusters "MLR" is HC0\'s kind, "CR2" HC2\'s.'),
        ("cluster clustered CRV1 CRV3", 'With cluster= use "CR1" (CRV1), "CR2" or "CR3" (CRV3).'),
        ("satterthwaite kenward-roger KR", 'se="CR2" has Satterthwaite degrees of freedom.'),
        ("default", _LEAVE),
    ),
    "test": _values(
        (
            "satorra.bentler SB sbs1 yuan.bentler YB yuan.bentler.mplus mean.var.adjusted "
            "mean.adjusted scaled.shifted scaled robust satterthwaite",
            _SCALED_TEST,
        ),
        ("boot bootstrap bollen.stine", _BOOTSTRAP),
        (
            "browne browne.residual.adf browne.residual.nt browne.residual.nt.model standard none "
            "browne.residual.adf.model",
            'test= says "t" or "z" for single parameters here: leave it out.',
        ),
        ("chisq chi2 F HTZ wald", 'Joint tests are fit.wald_test("a == b", test=…).'),
        ("LRT LR", "Nested models are compared by mlsem.lr_test(a, b)."),
        ("default", _LEAVE),
    ),
    "missing": _values(
        (
            "pairwise available.cases two.stage robust.two.stage two.step doubly.robust",
            'Use "fiml": all rows, with what is observed in them.',
        ),
        ("drop omit na.omit", 'It is "listwise", the default.'),
        ("raise fail na.fail", 'It is "error".'),
        ("default", _LEAVE),
    ),
    "information": _values(
        (
            "first.order",
            'Use "expected" or "observed"; fit.information("first_order") shows that one.',
        ),
        ("default", _LEAVE),
    ),
    "group_equal": _values(
        ("thresholds", "They are those of ordered variables, which are not fitted here."),
        (
            "composite.loadings composite.weights",
            "Composites ('<~') are not supported; \"loadings\" are those of latent variables.",
        ),
        ("configural none", _WHOLE_MODELS + "nothing is equal, so leave group_equal out."),
        ("metric weak", _WHOLE_MODELS + 'group_equal=["loadings"].'),
        ("scalar strong", _WHOLE_MODELS + 'group_equal=["loadings", "intercepts"].'),
        ("strict", _WHOLE_MODELS + 'group_equal=["loadings", "intercepts", "residuals"].'),
        ("all", 'Name them: group_equal=["loadings", "intercepts", …].'),
        ("residual.variances errors", 'Residual variances of observed variables are "residuals".'),
        ("variances latent.variances", 'Those of latent variables are "lv.variances".'),
        ("covariances latent.covariances", 'Those of latent variables are "lv.covariances".'),
        ("latent.means lv.means factor.means", 'They are "means".'),
        ("paths slopes", 'They are "regressions".'),
    ),
    "bounds": _values(
        ("pos.cov", "Bounds of covariances are written: 'y ~~ lower(0)*z'."),
        ("default", _LEAVE),
    ),
}


def keyword_advice(keyword: str, value: object = None) -> str:
    """What there is in place of an unknown keyword with this value, or nothing."""
    shown = f'"{value}"' if isinstance(value, str) else '"…"'
    return KEYWORDS.get(plain(keyword), "").replace("<value>", shown)


def value_advice(keyword: str, value: object) -> str:
    """What there is in place of another program's value of a keyword of ours, or nothing."""
    if not isinstance(value, str):
        return ""
    return VALUES.get(keyword, {}).get(plain(value), "")
