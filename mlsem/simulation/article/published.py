"""What Huang & Zhang (2025) published of their simulation of cross-level interactions.

1,000 replications of 50 clusters of 10 rows, fitted in R by lme4 and lavaan: means over the
replications of estimates and of their standard errors, and relative bias of the standard errors,
mean SE / SD of the estimates - 1. RI: random intercept; RS: random intercept and random slope of
x1, as the data have it. Digits as published.
"""

from __future__ import annotations

from collections.abc import Mapping

COEFFICIENTS = ("(Intercept)", "w1", "x1", "w1:x1")
RI_REML, RI_ML, RS_REML, RI_MLR = "RI, REML", "RI, ML", "RS, REML", "RI, MLR"

Values = tuple[float, float, float, float]

ESTIMATES: Mapping[str, Values] = {
    RI_REML: (0.002910729, 0.250323074, 0.502794531, 0.250094542),
    RI_ML: (0.002909412, 0.250323007, 0.502809691, 0.250097290),
    RS_REML: (0.002132698, 0.250687997, 0.503064188, 0.249843687),
}
STANDARD_ERRORS: Mapping[str, Values] = {
    RI_REML: (0.15036244, 0.15280281, 0.05189142, 0.05286951),
    RI_ML: (0.14728788, 0.14967951, 0.05178148, 0.05275631),
    RS_REML: (0.14952362, 0.15193503, 0.08144460, 0.08274414),
    RI_MLR: (0.14710271, 0.14488835, 0.08199301, 0.08065533),
}
RELATIVE_BIAS: Mapping[str, Values] = {
    RI_REML: (-0.02566800, 0.02142401, -0.40783262, -0.38857941),
    RI_ML: (-0.0455899754, 0.0005514581, -0.4090621826, -0.3899013250),
    RS_REML: (-0.030157970, 0.020163448, -0.032105729, 0.003460016),
    RI_MLR: (-0.04678992, -0.03147565, -0.06428387, -0.06726389),
}
