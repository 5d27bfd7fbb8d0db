"""Names of what plans and analyses trials, and of fixed effects: (names, program, here, note)."""

from __future__ import annotations

_GEE = 'mlsem.gee("y ~ x1", data, cluster="id", family="gaussian"'
_PLAN = "mlsem.plan(clusters=40, size=20, icc=0.2"
_BOTH = 'mlsem.within_between("y ~ x1 + w1", data, cluster="id")'
_RHO = "rho2 is icc=, p is treated=, r21 and r22 are r2=(…, …), g2 is covariates=, es is effect=. "

TRIALS: tuple[tuple[str, str, str, str], ...] = (
    # --- estimating equations ---
    (
        "geeglm geese geem",
        "geepack",
        f"{_GEE}, alpha_df=False)",
        "Rows may stand in any order; alpha_df=False divides as geepack does.",
    ),
    (
        "GEE.var.kc GEE.var.md GEE.var.fg GEE.var.mbn",
        "geesmv",
        f'{_GEE}, se="KC").vcov()',
        'Others are se="MD", "FG" and "MBN". geesmv takes the square root of KC wrongly where '
        "correlations or variances are not constant: its errors are .78 to 2.85 times these.",
    ),
    (
        "GEE.var.lz",
        "geesmv",
        f'{_GEE}, se="CR0").vcov()',
        "Without a correction for few clusters.",
    ),
    (
        "GEE.var.pan GEE.var.gst GEE.var.mk GEE.var.wl geesmv",
        "geesmv",
        "",
        'Corrections here are se="KC", "MD", "FG" and "MBN".',
    ),
    (
        "QIC",
        "geepack",
        "",
        "Working correlations are compared by what they change: estimates are consistent under "
        "each, and KC errors hold.",
    ),
    # --- plans ---
    (
        "mdes.cra2 mdes.cra2r2",
        "PowerUpR",
        f"{_PLAN}, power=0.8).effect",
        _RHO + "Degrees of freedom are Satterthwaite's, the same in equal clusters and arms.",
    ),
    ("power.cra2 power.cra2r2", "PowerUpR", f"{_PLAN}, effect=0.3).power", _RHO.rstrip()),
    (
        "mrss.cra2 mrss.cra2r2",
        "PowerUpR",
        "mlsem.plan(size=20, icc=0.2, effect=0.3).clusters",
        "Leave clusters= out, and it is what is found.",
    ),
    (
        "mdes.cra3 mdes.cra3r3 power.cra3 power.cra3r3 mrss.cra3 mrss.cra3r3",
        "PowerUpR",
        "mlsem.plan(clusters=40, subclusters=2, size=20, icc=(0.1, 0.2), power=0.8)",
        "icc=(rho2, rho3), r2=(r21, r22, r23); J is subclusters=, K clusters=.",
    ),
    (
        "mdes.bira2 power.bira2 mrss.bira2 mdes.bira2r1 power.bira2r1 mrss.bira2r1",
        "PowerUpR",
        f'{_PLAN}, effect_sd=0.3, randomised="rows", power=0.8)',
        "effect_sd= is √esv2, esv2 = rho2 omega2; r2=(r21, r2t2).",
    ),
    (
        "mdes.bira2c1 power.bira2c1 mrss.bira2c1 mdes.bira2f1 power.bira2f1 mrss.bira2f1",
        "PowerUpR",
        f'{_PLAN}, randomised="rows", power=0.8)',
        "Degrees of freedom count clusters, so that errors may be robust to effects that vary; "
        "with many clusters that is the same.",
    ),
    (
        "mdes.ira power.ira mrss.ira mdes.ira1r1 power.ira1r1 mrss.ira1r1",
        "PowerUpR",
        "mlsem.plan(clusters=200, size=1, icc=0, power=0.8)",
        "Without clusters each row is one.",
    ),
    (
        "mdes.bcra3f2 power.bcra3f2 mrss.bcra3f2 mdes.bcra3r2 power.bcra3r2 mrss.bcra3r2 "
        "mdes.bcra4r3 mdes.bcra4f3 mdes.bcra4r2 power.bcra4r3 power.bcra4f3 power.bcra4r2",
        "PowerUpR",
        "",
        "Clusters that are randomised within blocks: simulate them, mlsem.study.",
    ),
    (
        "mdesd.mod221 mdesd.mod222 power.mod221 power.mod222 mrss.mod221 mrss.mod222 power.med221 "
        "power.med211",
        "PowerUpR",
        "",
        "Moderators and mediators are planned by simulation: mlsem.simulate draws the data, "
        "mlsem.study analyses them.",
    ),
    (
        "wp.crt2arm",
        "WebPower",
        f"{_PLAN}, effect=0.3).power",
        "f is effect=, J clusters=, n size=.",
    ),
    (
        "wp.mrt2arm",
        "WebPower",
        f'{_PLAN}, effect=0.3, effect_sd=0.2, randomised="rows").power',
        "effect_sd is √tau11, in standard deviations of the outcome.",
    ),
    (
        "wp.crt3arm wp.mrt3arm wp.sem.chisq wp.sem.rmsea wp.mediation",
        "WebPower",
        "",
        "Other designs are planned by simulation: mlsem.study.",
    ),
    (
        "crtpwr.2mean cpa.normal",
        "clusterPower",
        f"{_PLAN}, effect=0.3, cv=0.4).power",
        "ICC, nsubjects, nclusters (of an arm there, of both here) and CV have names here, too.",
    ),
    (
        "crtpwr.2prop cpa.binary",
        "clusterPower",
        "mlsem.plan(clusters=40, size=20, icc=0.05, control=0.3, effect=0.15).power",
        "p2 is control=, p1 less p2 is effect=.",
    ),
    (
        "powerSim powerCurve",
        "simr",
        'mlsem.study((truth, {"cluster_size": 10}), {"CR2": {"model": model, "cluster": "id", '
        '"se": "CR2"}}, 10)',
        "It draws data sets and analyses each.",
    ),
    (
        "pwr.t.test pwr.2p.test power.t.test power.prop.test",
        "pwr",
        "mlsem.plan(clusters=40, size=1, icc=0, effect=0.5).power",
        "Without clusters each row is one.",
    ),
    # --- fixed effects, within and between ---
    (
        "plm pgmm pdata.frame",
        "plm",
        'mlsem.glm("y ~ x1", data, cluster="id", family="gaussian", absorb="id")',
        "mlsem.within_between has all models side by side.",
    ),
    (
        "phtest",
        "plm",
        f"{_BOTH}.hausman",
        "By cluster means, with errors that are robust and hold with few clusters.",
    ),
    ("wbm wbgee wbm_stan", "panelr", f"{_BOTH}.hybrid", "interactions= is of products."),
    ("xthybrid mundlak cre xtreg", "Stata", _BOTH, "Fixed, random, contextual, hybrid models."),
)
