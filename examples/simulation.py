"""A simulation study: how many clusters do robust standard errors need if a slope varies?"""

import mlsem

DATA = """
level: 1
  y ~ 0.5*x1 + 0*w1:x1
  y ~~ 1*y
level: 2
  y ~ 0.3*w1
  y ~~ 0.5*y
"""
MODEL = """
level: 1
  y ~ x1 + w1:x1
level: 2
  y ~ w1
"""


def main() -> None:
    plain = {"model": MODEL, "cluster": "id"}
    found = mlsem.study(
        (DATA, {"n_clusters": 20, "cluster_size": 10, "omitted_slopes": {"y~x1": 0.2}}),
        {"ML": plain, "MLR": plain | {"estimator": "MLR"}, "CR2": plain | {"se": "CR2"}},
        replications=100,  # take some thousands, and n_jobs=-1
        seed=1,
        parameters=["y~x1", "y~w1:x1", "y~w1.l2"],
    )
    print(found)
    # found.plot().savefig("simulation.png")


if __name__ == "__main__":
    main()
