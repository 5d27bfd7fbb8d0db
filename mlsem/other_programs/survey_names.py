"""Names of what analyses surveys and imputations: (names, program, here, note)."""

from __future__ import annotations

_VALUES = 'mlsem.fit_many("math ~ x1 + (1 | id)", pisa, plausible={"math": "PV{}MATH"})'
_WEIGHTED = (
    'mlsem.lmm("PV1MATH ~ x1 + (1 | id)", pisa, REML=False, '
    'weights={"total": "w_stu", "level2": "w_sch"})'
)

SURVEYS: tuple[tuple[str, str, str, str], ...] = (
    (
        "runMI sem.mi cfa.mi growth.mi lavaan.mi",
        "lavaan.mi",
        'mlsem.fit_many(model, [data, data], cluster="id")',
        'It takes a list of imputed data sets, or a long one with imputation=".imp". '
        'missing="fiml" of mlsem.fit needs no imputations.',
    ),
    (
        "testEstimates testModels pool.mi pool_mi",
        "mitml and mice",
        "mlsem.pool([fit, fit])",
        "It pools a list of fits; its wald_test is D1, its lr_test D2, D3 and D4.",
    ),
    (
        "mixPV",
        "MLMusingR",
        _VALUES,
        'Weights are weights={"total": "w_stu", "level2": "w_sch"}. Degrees of freedom count '
        "clusters, not rows.",
    ),
    (
        "pool_pv lrtPV",
        "MLMusingR",
        f'{_VALUES}.wald_test("`x1`")',
        "A ratio of weighted likelihoods depends on the weights' unit; the Wald test does not.",
    ),
    (
        "mix",
        "WeMix",
        _WEIGHTED,
        'Total weights are "total", conditional ones (cWeights = TRUE) "level1"; '
        'weight_scaling="unscaled" and se="CR1" are WeMix\' own.',
    ),
    ("waldTest", "WeMix", 'fit.wald_test("b == 0")', ""),
    (
        "mixed.sdf mixed_sdf",
        "EdSurvey",
        _VALUES,
        "EdSurvey hands conditional weights on as total ones; here they have names of their own.",
    ),
    (
        "lm.sdf lm_sdf",
        "EdSurvey",
        'mlsem.fit_many("math ~ x1", pisa, plausible={"math": "PV{}MATH"}, weights="w_stu", '
        'cluster="id", meanstructure=True)',
        "",
    ),
    (
        "readPISA readTIMSS readPIRLS readNAEP getData",
        "EdSurvey",
        'mlsem.missing_patterns(pisa, "PV1MATH ~ x1")',
        "Files of SPSS are read by their name, mlsem.fit(model, 'pisa.sav'); the table says what "
        "is missing.",
    ),
    (
        "svyglm svydesign svrepdesign",
        "survey",
        'mlsem.fit("y ~ x1", pisa, cluster="id", weights="w_stu", meanstructure=True)',
        'Strata are strata="stratum"; replicate weights replicates=mlsem.Fay("rw{}", k=0.5), '
        "mlsem.BRR, mlsem.JK1 or mlsem.JK2.",
    ),
)
