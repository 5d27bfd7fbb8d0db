"""Arguments of other programs' functions that are methods here: what to write, as one table.

By the name of the method; those under "" hold for all, and "()" stands for more arguments than the
method takes by their place. Spelt as in `options`: without dots, underscores and capitals. Options
of `fit` and its kin are in `options`.
"""

from __future__ import annotations

from mlsem.other_programs.options import plain

_ALWAYS = "It is always shown: leave it out."
_PANDAS = "The result is a data frame: choose columns and rows by pandas."
_SE_BEFORE = 'Choose standard errors before: fit.with_se("CR2").'
_CI = "Intervals are shown with level=0.95."

ARGUMENTS: dict[str, tuple[tuple[str, str], ...]] = {
    "": (
        ("conf.level confidence prob alpha conf ci.level", "It is level=0.95."),
        ("object model fit x", "The fit is what stands before the dot: leave it out."),
        ("digits nd ndigits", "Round data frames by .round(3); fit.summary().to_text(digits=4)."),
        ("newdata", "It is data=."),
        ("vcov. vcov cov.type cluster robust", _SE_BEFORE),
        ("output add.class add.attributes", "Results are data frames: leave it out."),
        ("ncpus cl cores workers njobs", "It is n_jobs=."),
        ("iseed random.state rng", "It is seed=."),
    ),
    "summary": (
        ("fit.indices fit measures", "It is fit_measures=True."),
        ("conf.int cinterval", _CI),
        ("estimates header", _ALWAYS),
        ("rsq r2 rsquared", "It is rsquare=True."),
        ("std stdyx stand", "It is standardized=True."),
        ("correlation corr", "Correlations of the estimates come from fit.vcov()."),
        ("ddf", 'Degrees of freedom are chosen by fit.with_se("standard", df=…).'),
        ("modindices modification.indices", "They are fit.modification_indices()."),
        ("fmi", "It is fit.parameter_estimates(fmi=True)."),
        ("xname title yname", "Leave it out."),
    ),
    "parameter_estimates": (
        ("zstat pvalue se", _ALWAYS),
        ("remove.nonfree remove.eq remove.ineq remove.def remove.system.eq", _PANDAS),
        ("boot.ci.type", 'It is fit.bootstrap("pairs").conf_int(kind=…).'),
        ("rsq r2 rsquared", "It is rsquare=True."),
        ("std stdyx", "It is standardized=True."),
        ("test", 'It is an argument of with_se: fit.with_se("CR2", test="z").'),
        ("coefs", _PANDAS),
    ),
    "plan": (
        ("es f d delta", "It is effect=."),
        ("rho rho2 rho3", "It is icc=; of three levels icc=(rho2, rho3)."),
        ("J K nclusters", "It is clusters=; with three levels J is subclusters=."),
        ("n m nsubjects", "It is size=."),
        ("p", "It is treated=."),
        ("r21 r22 r23 r2t2", "They are r2=(…, …), of rows and of clusters."),
        ("g g1 g2 g3", "It is covariates=."),
        ("alpha sig.level", "It is level=0.95, one less alpha."),
        ("omega2 esv2 tau11", 'It is effect_sd=, √(omega2 rho2) = √esv2, with randomised="rows".'),
        ("p1 p2", "It is control=, the risk without treatment; effect= is the difference."),
    ),
    "within_between": (
        ("model effect method", "All models are fitted: found.fixed, found.random, …"),
        ("index id group", "It is cluster=."),
        (
            "family link",
            "Of other outcomes mlsem.gee or mlsem.glm take the parts, which are columns of "
            "found.data.",
        ),
        ("estimator", "It is REML=True or False."),
        ("vcov type", 'It is se="CR2".'),
    ),
    "standardized": (
        ("type", 'It is kind="all", "lv" or "nox".'),
        ("zstat pvalue se ci", _ALWAYS),
    ),
    "conf_int": (
        ("parm params names coefs", "It is parameters=."),
        ("method type", 'It is ci="wald" or "profile"; a bootstrap is fit.bootstrap().conf_int().'),
        ("alpha", "It is level=0.95, one less alpha."),
    ),
    "fit_measures": (
        ("fit.measures measures", "It is the first argument: fit.fit_measures(['cfi', 'rmsea'])."),
        ("baseline.model h1.model", "Baseline and saturated models are fit.baseline(), fit.h1()."),
    ),
    "modification_indices": (
        ("minimum.value min", "It is minimum=3.84."),
        ("maximum.number op free.remove na.remove standardized", _PANDAS),
        ("alpha high.power delta", "Power is asked for by power=0.1, the size of a misfit."),
    ),
    "with_se": (
        ("type vcov cov.type", 'It is the first argument: fit.with_se("CR2").'),
        (
            "cluster se.cluster",
            'Clusters of robust standard errors are named in the fit: se_cluster="school".',
        ),
        ("ddf", "It is df=."),
    ),
    "vcov": (("type vcov kind ()", 'Another kind is fit.with_se("CR2").vcov().'),),
    "update": (("()", "New data are data=."),),
    "wald_test": (
        ("cluster type", 'It is vcov="CR2".'),
        ("hypothesis hypotheses restrictions", "It is the first argument, constraints."),
        ("tidy verbose", "Leave it out."),
        ("use.f", 'It is test="F".'),
    ),
    "predict": (
        (
            "re.form",
            "The effects of known clusters are in it; of fits by lmm random=False leaves them out.",
        ),
        ("allow.new.levels", "Of fits by lmm it is new_levels=; else new clusters are allowed."),
        ("type", "Scores of latent variables are fit.predict_latent()."),
        ("se.fit", "Of fits by lmm it is se=True; scores of latent variables have theirs."),
    ),
    "predict_latent": (
        ("type", "It is level=1 or 2; expected outcomes are fit.predict(data)."),
        ("assemble append.data optim.method fsm", "Leave it out; the result is a data frame."),
        ("factors", _PANDAS),
    ),
    "random_effects": (
        ("condvar postvar drop whichel", "Standard errors come with it; leave it out."),
    ),
    "residuals": (
        ("type", "It is kind=; its docstring has the choices."),
        ("zstat summary se", _ALWAYS),
    ),
    "bootstrap": (
        ("r nsim nboot b reps n.boot replications", "It is draws=1000."),
        ("type method", 'It is kind="wild", "pairs" or "parametric".'),
        ("fun statistic", "It is of all parameters, definitions of the model included."),
        ("parallel", "It is n_jobs=2."),
        ("param", "It is parameters=."),
    ),
    "lr_test": (
        ("test", "It is method=."),
        ("refit", "Nothing is fitted again: fit lmm with REML=False."),
        ("type sb.classic h1", 'It is method="satorra.bentler.2001", "…2010" or "score".'),
        ("model.names", "Names are given to mlsem.compare([simple, full], names=[…])."),
    ),
    "simulate": (
        ("nsim", "Of fits by lmm it is n=; mlsem.simulate draws one data set, mlsem.study many."),
        ("use.u re.form", 'Of fits by lmm it is effects="predicted" or "new".'),
        ("sample.nobs nobs n", "It is n_clusters=50, cluster_size=10."),
        ("model.type population", "The model text has all values: 'y ~ 0.5*x'."),
    ),
    "marginal_means": (
        ("specs", "It is variables=."),
        ("lmer.df mode ddf", 'Degrees of freedom are those of fit.with_se("standard", df=…).'),
        ("vcov", 'Standard errors are those of the fit: fit.with_se("CR2").marginal_means(…).'),
        ("cov.reduce cov.keep", 'Values of covariates are at={"x1": [0, 1]}.'),
        ("adjust", "Adjusted are differences: .pairs(adjust=…)."),
    ),
    "marginal_slopes": (("specs", "It is variables=."), ("var", "It is slope=, the first one.")),
    "study": (("nrep nsim reps r", "It is replications=1000."),),
    "inspect": (("list.by.group", "Of several groups it is a dict by group: leave it out."),),
    "reliability": (("what omit.indicators tau.eq return.total", "All kinds are shown."),),
    "effects": (
        ("x iv predictors", "It is predictor=."),
        ("y dv outcomes", "It is outcome=."),
        ("mediator m", "All ways between the two are shown: leave it out."),
        ("boot", 'It is ci="bootstrap".'),
        ("level conf.level", "It is confidence=0.95."),
    ),
    "cluster_means": (
        ("by group id", 'It is cluster="id".'),
        ("select columns vars x", "It is variables=."),
    ),
}

_BY_METHOD = {
    method: {plain(name): said for names, said in groups for name in names.split()}
    for method, groups in ARGUMENTS.items()
}


def argument_advice(method: str, keyword: str) -> str:
    """What there is in place of a keyword of another program's, or nothing."""
    bare = plain(keyword)
    return _BY_METHOD.get(method, {}).get(bare) or _BY_METHOD[""].get(bare, "")
