"""A model fitted to a table of Spark: its executors sum the rows of each cluster.

pip install "mlsem[spark]"; Spark needs Java 17. Here the session is one of this machine; on a
cluster take the session that is there. Only the table of clusters comes to the driver.
"""

import pandas as pd
from pyspark.sql import SparkSession  # pyright: ignore[reportMissingImports]

import mlsem

MODEL = mlsem.example_model("article")


def main() -> None:
    article = mlsem.load_example("article")
    rows = pd.concat([article.assign(id=article["id"] + 50 * k) for k in range(20)])
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
    finally:
        spark.stop()
    print(fit.summary())
    print("Largest relative difference of standard errors from those of all rows in one frame:")
    print((fit.bse / mlsem.fit(MODEL, rows, cluster="id", se="CR2").bse - 1).abs().max())


if __name__ == "__main__":
    main()
