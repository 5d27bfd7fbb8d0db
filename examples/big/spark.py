"""A model fitted to a table of Spark, whose executors sum the rows of each cluster, and a bootstrap
and a simulation that they compute.

pip install "mlsem[spark]"; Spark needs Java 17, and mlsem for the Python of its executors. Here the
session is one of this machine; on a cluster take the session that is there. Only the table of
clusters comes to the driver.
"""

import os
import sys

import pandas as pd
from pyspark.sql import SparkSession  # pyright: ignore[reportMissingImports]

import mlsem

MODEL = mlsem.example_model("article")
TRUTH = "level: 1; y ~ 0.5*x1; y ~~ 1*y; level: 2; y ~~ 0.3*y"
ONE = {"model": "level: 1; y ~ x1; level: 2; y ~~ y", "cluster": "id", "se": "CR2"}


def main() -> None:
    article = mlsem.load_example("article")
    rows = pd.concat([article.assign(id=article["id"] + 50 * k) for k in range(20)])
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # the Python that has mlsem
    spark = (
        SparkSession.builder.master("local[2]")
        .appName("mlsem")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.shuffle.partitions", "4")
        .getOrCreate()
    )
    spark.sparkContext.setLogLevel("ERROR")
    try:
        data = spark.createDataFrame(rows).repartition(8)
        fit = mlsem.fit(MODEL, data, cluster="id", se="CR2")
        draws = fit.bootstrap("pairs", draws=100, seed=1, backend="spark")
        design = {"n_clusters": 20, "cluster_size": 5}
        found = mlsem.study((TRUTH, design), {"CR2": ONE}, 40, seed=1, backend="spark")
    finally:
        spark.stop()
    print(fit.summary())
    print(draws)
    print(found)
    here = fit.bootstrap("pairs", draws=100, seed=1)
    assert (draws.draws == here.draws).all(), "draws are the same wherever they are refitted"
    print("Largest relative difference of standard errors from those of all rows in one frame:")
    print((fit.bse / mlsem.fit(MODEL, rows, cluster="id", se="CR2").bse - 1).abs().max())


if __name__ == "__main__":
    main()
