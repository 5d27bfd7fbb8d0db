"""The figures of README.md, drawn by its own code: python docs/make_figures.py [FOLDER].

They are committed, in docs/_static, because README.md is read where nothing is run.
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl

import mlsem

STYLE = {"svg.fonttype": "none", "svg.hashsalt": "mlsem"}  # text stays text; the same ids each time


def main(folder: Path) -> None:
    """Write every figure into a folder."""
    fit = mlsem.fit(
        mlsem.example_model("article"), mlsem.load_example("article"), cluster="id", se="CR2"
    )
    figure = fit.plot_interaction("x1", "w1")
    figure.patch.set_facecolor("white")
    with mpl.rc_context(STYLE):
        figure.savefig(folder / "interaction.svg", metadata={"Date": None}, bbox_inches="tight")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "_static")
