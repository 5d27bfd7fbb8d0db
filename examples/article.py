"""A cross-level interaction, with model-based and robust standard errors side by side."""

import mlsem
from mlsem.examples_data import example_model, load_example


def main() -> None:
    fit = mlsem.fit(example_model("article"), load_example("article"), cluster="id")
    robust = fit.with_se("MLR")  # nothing is estimated again
    print(robust.summary())

    table = fit.parameter_estimates()
    table["se_mlr"] = robust.parameter_estimates()["se"]
    table["ratio"] = table["se_mlr"] / table["se"]
    regressions = table[table["op"] == "~"]
    print(regressions[["lhs", "rhs", "level", "est", "se", "se_mlr", "ratio"]].round(3))


if __name__ == "__main__":
    main()
