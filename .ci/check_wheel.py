"""Run the README's first Python block with the installed package and compare its numbers.

Usage: check_wheel.py README CHECKOUT; fails if `mlsem` is imported from CHECKOUT.
"""

import re
import sys
from math import isclose
from pathlib import Path

import mlsem

# lavaan 0.7-2, maximum likelihood, on the same data.
LOGLIK = -818.608577062117
SLOPE = 0.576882927249589


def main(readme: str, checkout: str) -> None:
    origin = Path(mlsem.__file__ or "").resolve()
    if origin.is_relative_to(Path(checkout).resolve()):
        sys.exit(f"mlsem comes from the checkout: {origin}")
    block = re.search(r"^```python\n(.*?)^```", Path(readme).read_text("utf-8"), re.M | re.S)
    if block is None:
        sys.exit("the README has no Python block")
    names: dict[str, object] = {}
    exec(compile(block[1], "README.md", "exec"), names)
    fit = names["fit"]
    table = fit.parameter_estimates()  # pyright: ignore
    slope = table.loc[(table["op"] == "~") & (table["rhs"] == "x1"), "est"].item()
    for name, found, expected in [
        ("log-likelihood", fit.loglik, LOGLIK),  # pyright: ignore
        ("slope of x1", slope, SLOPE),
    ]:
        if not isclose(found, expected, rel_tol=1e-5):
            sys.exit(f"{name}: {found!r}, expected {expected!r}")
    for name, rows in mlsem.examples()["rows"].items():
        if len(mlsem.load_example(str(name))) != rows or not mlsem.example_model(str(name)):
            sys.exit(f"the example {name} is not whole")


if __name__ == "__main__":
    main(*sys.argv[1:])
