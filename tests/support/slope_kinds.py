"""Models with random slopes, and data for them with everything that makes a cluster special."""

from __future__ import annotations

import numpy as np
from kinds import Kind, make_data

SLOPES = {
    "one slope": Kind('level: 1\n y1 ~ rv("s")*x1\nlevel: 2\n y1 ~ w1\n s ~ w1\n y1 ~~ s'),
    "uncorrelated": Kind('level: 1\n y1 ~ rv("s")*x1 + x2\nlevel: 2\n y1 ~~ y1\n s ~~ 0*y1'),
    "no random intercept": Kind('level: 1\n y1 ~ rv("s")*x1 + x2\nlevel: 2\n s ~ w1'),
    "two slopes": Kind(
        'level: 1\n y1 ~ rv("s")*x1 + rv("t")*x2\nlevel: 2\n y1 ~ w1\n s ~ w1\n'
        "s ~~ t + y1\n t ~~ y1"
    ),
    "slope of a product": Kind(
        'level: 1\n y1 ~ rv("s")*x1 + rv("t")*x1:x2 + x2 + w1:x2\nlevel: 2\n y1 ~ w1\n t ~~ s'
    ),
    "several outcomes": Kind(
        'level: 1\n y1 ~ rv("s")*x1 + x2\n y2 ~ rv("t")*x1 + rv("r")*x2\n'
        "level: 2\n y1 ~~ y2 + s\n y2 ~~ t\n s ~~ t\n r ~ w2"
    ),
    "level-2 outcome of the slope": Kind(
        'level: 1\n y1 ~ rv("s")*x1\nlevel: 2\n z1 ~ s + y1 + w1\n z2 ~~ z1\n s ~ w1\n y1 ~~ s'
    ),
    "slope as mediator": Kind(
        'level: 1\n y1 ~ rv("s")*x1\nlevel: 2\n s ~ z1 + w1\n y1 ~ s\n z1 ~ w1'
    ),
    "latent at both levels": Kind(
        'level: 1\n fw =~ y1 + y2 + y3\n fw ~ x2\n y4 ~ fw + rv("s")*x1\n'
        "level: 2\n fb =~ y1 + y2 + y3\n fb ~ w1\n s ~ fb + w1\n y4 ~~ s"
    ),
    "slope of an indicator": Kind(
        'level: 1\n fw =~ y1 + y2 + y3\n y2 ~ rv("s")*x1\nlevel: 2\n g =~ y1 + y2 + y3 + s\n z1 ~ g'
    ),
    "within-only outcome": Kind(
        'level: 1\n v1 ~ rv("s")*x1\n y1 ~ rv("t")*x2\nlevel: 2\n y1 ~ w1\n s ~~ t + y1'
    ),
    "nothing observed between": Kind('level: 1\n v1 ~ rv("s")*x1 + x2\nlevel: 2\n s ~ 1'),
    "slopes only of a within-only outcome": Kind(
        'level: 1\n v1 ~ rv("s")*x1 + rv("t")*x2\nlevel: 2\n z1 ~ s + t\n s ~~ t'
    ),
}
SLOPE_VARIANCE_ZERO = Kind(
    'level: 1\n y1 ~ rv("s")*x1 + x2\nlevel: 2\n y1 ~ w1\n s ~ w1\n s ~~ 0*s + 0*y1'
)
FIXED_SLOPE = Kind("level: 1\n y1 ~ x1 + w1:x1 + x2\nlevel: 2\n y1 ~ w1")


def slope_data(seed: int, sizes: tuple[int, ...], spread: float = 0.5):
    """`make_data` in which x1 is constant in some clusters and few-valued in others."""
    data = make_data(seed, sizes)
    rng = np.random.default_rng(seed)
    slope = rng.normal(scale=spread, size=len(sizes))
    for name in ("y1", "y2", "v1"):
        data[name] += slope[data["id"]] * data["x1"]
    data.loc[data["id"] % 5 == 2, "x1"] = 0.7
    few = data["id"] % 5 == 3
    data.loc[few, "x1"] = np.round(data.loc[few, "x1"])
    return data
