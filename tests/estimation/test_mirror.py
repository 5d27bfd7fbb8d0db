"""Mirror images in the pole of a small variance: the same covariances, the other side of zero."""

import numpy as np
from kinds import make_data

import mlsem
from mlsem.estimation.mirror import mirror_images

MODEL = "level: 1\n y1 ~~ y2\nlevel: 2\n y2 ~ y1"


def test_only_the_variance_itself_changes():
    sizes = tuple(np.random.default_rng(1).integers(2, 6, size=40))
    fit = mlsem.fit(MODEL, make_data(3, sizes), cluster="id", se="none", fixed_x=False)
    params = fit.estimates.copy()
    names = list(fit.table.names)
    params[names.index("y1~~y1.l2")] = 0.01
    objective = fit._estimates.problem.objective
    before = objective.evaluate(params).between.sigma
    (image,) = mirror_images(fit.table, params)
    after = objective.evaluate(image).between.sigma
    change = np.zeros_like(before)
    change[0, 0] = -0.02  # y1's own variance, from 0.01 to -0.01
    np.testing.assert_allclose(after - before, change, atol=1e-12)
