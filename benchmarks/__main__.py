"""python -m benchmarks [NAME ...] [--save]

Names: speed, grid, fit_measures, import_time, scaling, engines, memory, many_clusters, groups,
robust, mixed, batch, slopes, missing, surveys, missing_random, random_models, random_families,
formulas.
Without names: all but the last four. With --save docs/benchmarks.md is written anew, too.
"""

from __future__ import annotations

import sys

from benchmarks import (
    batch,
    engines,
    fit_measures,
    formulas,
    grid,
    groups,
    import_time,
    many_clusters,
    memory,
    missing,
    missing_random,
    mixed,
    page,
    random_families,
    random_models,
    robust,
    scaling,
    slopes,
    speed,
    surveys,
    three_levels,
)

PARTS = {
    "speed": speed.main,
    "grid": grid.main,
    "fit_measures": fit_measures.main,
    "import_time": import_time.main,
    "scaling": scaling.main,
    "engines": engines.main,
    "memory": memory.main,
    "many_clusters": many_clusters.main,
    "groups": groups.main,
    "robust": robust.main,
    "mixed": mixed.main,
    "three_levels": three_levels.main,
    "batch": batch.main,
    "slopes": slopes.main,
    "missing": missing.main,
    "surveys": surveys.main,
    "missing_random": missing_random.main,
    "random_models": random_models.main,
    "random_families": random_families.main,
    "formulas": formulas.main,
}


def main() -> None:
    words = sys.argv[1:]
    parts = [word for word in words if word in PARTS] or [*PARTS][:-4]
    options = [word for word in words if word not in PARTS]
    if options not in ([], ["--save"]):
        sys.exit(f"{__doc__}\nOptions of one part: python -m benchmarks.PART --help")
    for part in parts:
        sys.argv = [f"benchmarks.{part}", *options]
        PARTS[part]()
        print()
    if options:
        page.main()


if __name__ == "__main__":
    main()
