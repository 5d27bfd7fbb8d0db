"""The simulation of Huang & Zhang (2025) draw by draw: `mlsem study article` runs all of it."""

from mlsem.simulation.article.study import article_study


def main() -> None:
    found = article_study(replications=40)
    print(found)
    print(found.study)


if __name__ == "__main__":
    main()
