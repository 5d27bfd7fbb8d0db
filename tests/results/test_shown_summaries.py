"""A summary is its text wherever it is shown: printed, or alone on a line of a console."""

from __future__ import annotations

import mlsem


def test_a_summary_on_a_line_of_its_own_is_its_text() -> None:
    data = mlsem.load_example("article").assign(
        high=lambda d: (d["y"] > 0).astype(int), district=lambda d: d["id"] // 5
    )
    glm = mlsem.glm("high ~ x1", data, cluster="id")
    other = mlsem.glm("high ~ x1", data.assign(x1=data["x1"] + 0.1 * data["y"]), cluster="id")
    fits = (
        mlsem.fit("y ~ x1", data),
        mlsem.lmm("y ~ x1 + (1 | id)", data),
        mlsem.lmm("y ~ x1 + (1 | district/id)", data),
        glm,
        mlsem.pool([glm, other]),
        mlsem.within_between("y ~ x1", data, cluster="id"),
    )
    for fit in fits:
        summary = fit.summary()
        assert repr(summary) == str(summary) == summary.to_text()
