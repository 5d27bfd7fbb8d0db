"""An R script with lavaan, line by line in Python.

The R lines stand as comments; `.` in option names becomes `_`.
"""

from pathlib import Path

# library(lavaan)
import pandas as pd

import mlsem

HERE = Path(__file__).parent


def main() -> None:
    # data <- read.csv("demo_twolevel.csv")
    data = pd.read_csv(HERE / "demo_twolevel.csv")

    # model <- '
    #   level: 1
    #     fw =~ y1 + y2 + y3
    #     fw ~ b*x1
    #   level: 2
    #     fb =~ y1 + y2 + y3
    #     fb ~ w1
    # '
    model = """
      level: 1
        fw =~ y1 + y2 + y3
        fw ~ b*x1
      level: 2
        fb =~ y1 + y2 + y3
        fb ~ w1
    """

    # fit <- sem(model, data, cluster = "cluster", estimator = "MLR", std.lv = TRUE)
    fit = mlsem.sem(model, data, cluster="cluster", estimator="MLR", std_lv=True)

    # summary(fit)
    print(fit.summary())

    # parameterEstimates(fit, level = 0.90)
    print(fit.parameter_estimates(level=0.90).round(3).head().to_string())

    # logLik(fit); AIC(fit); BIC(fit); lavInspect(fit, "nclusters")
    print(round(fit.loglik, 3), round(fit.aic, 3), round(fit.bic, 3), fit.n_clusters)


if __name__ == "__main__":
    main()
