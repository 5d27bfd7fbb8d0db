"""A model fitted to rows that workers of a Dask cluster hold, and a bootstrap and a simulation that
they compute.

pip install "mlsem[dask]". Here the cluster is two processes of this machine; elsewhere pass its
address to Client. Each worker sums the rows of its partitions by cluster, and only the sums travel.
"""

import dask.dataframe as dd
import pandas as pd
from distributed import Client, LocalCluster

import mlsem

MODEL = mlsem.example_model("article")
TRUTH = "level: 1; y ~ 0.5*x1; y ~~ 1*y; level: 2; y ~~ 0.3*y"
ONE = {"model": "level: 1; y ~ x1; level: 2; y ~~ y", "cluster": "id", "se": "CR2"}


def main() -> None:
    article = mlsem.load_example("article")
    rows = pd.concat([article.assign(id=article["id"] + 50 * k) for k in range(20)])
    workers = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0")
    with workers, Client(workers):
        data = dd.from_pandas(rows.reset_index(drop=True), npartitions=8, sort=False)
        fit = mlsem.fit(MODEL, data, cluster="id", se="CR2")
        draws = fit.bootstrap("pairs", draws=100, seed=1, backend="dask")
        design = {"n_clusters": 20, "cluster_size": 5}
        found = mlsem.study((TRUTH, design), {"CR2": ONE}, 40, seed=1, backend="dask")
    print(fit.summary())
    print(draws)
    print(found)
    here = fit.bootstrap("pairs", draws=100, seed=1)
    assert (draws.draws == here.draws).all(), "draws are the same wherever they are refitted"
    print("Largest relative difference of standard errors from those of all rows in one frame:")
    print((fit.bse / mlsem.fit(MODEL, rows, cluster="id", se="CR2").bse - 1).abs().max())


if __name__ == "__main__":
    main()
