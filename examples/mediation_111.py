"""Indirect effects within and between clusters, with delta-method standard errors."""

from pathlib import Path

import pandas as pd

import mlsem

HERE = Path(__file__).parent


def main() -> None:
    data = pd.read_csv(HERE / "mediation.csv")
    model = (HERE / "mediation.lav").read_text("utf-8")
    fit = mlsem.fit(model, data, cluster="id", estimator="MLR", fixed_x=False)
    effects = fit.parameter_estimates().query("op == ':='")
    print(
        effects[["lhs", "rhs", "est", "se", "pvalue", "ci_lower", "ci_upper"]].round(4).to_string()
    )


if __name__ == "__main__":
    main()
