"""A factor at each level, and how much of each indicator lies between clusters."""

from pathlib import Path

import pandas as pd

import mlsem

HERE = Path(__file__).parent


def main() -> None:
    data = pd.read_csv(HERE / "demo_twolevel.csv")
    model = (HERE / "two_level_cfa.lav").read_text("utf-8")
    fit = mlsem.fit(model, data, cluster="cluster", estimator="MLR")
    print(fit.summary())

    loadings = fit.parameter_estimates().query("op == '=~'")
    print(loadings[["level", "lhs", "rhs", "est", "ci_lower", "ci_upper"]].round(3).to_string())


if __name__ == "__main__":
    main()
