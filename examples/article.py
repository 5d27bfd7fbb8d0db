"""A cross-level interaction, with model-based and robust standard errors side by side."""

import mlsem


def main() -> None:
    fit = mlsem.fit(mlsem.example_model("article"), mlsem.load_example("article"), cluster="id")
    robust = fit.with_se("MLR")  # nothing is estimated again
    print(robust.summary())

    table = fit.parameter_estimates()
    table["se_mlr"] = robust.parameter_estimates()["se"]
    table["ratio"] = table["se_mlr"] / table["se"]
    columns = ["lhs", "rhs", "level", "est", "se", "se_mlr", "ratio"]
    print(table.loc[table["op"] == "~", columns].round(3).to_string())


if __name__ == "__main__":
    main()
