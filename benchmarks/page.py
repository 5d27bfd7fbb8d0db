"""docs/benchmarks.md and its figures, from benchmarks/results/*.json.

python -m benchmarks.page     writes what stands between "made: NAME" and "end", and the figures
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, ROOT, median, seconds, table
from benchmarks.designs import SERIES
from benchmarks.grid_tables import (
    OURS_ROBUST,
    Rival,
    about,
    agreement,
    every_peer,
    faster,
    growth,
    points,
    runs_of,
)

PAGE = ROOT / "docs" / "benchmarks.md"
FIGURES = ROOT / "docs" / "_static"
MADE = re.compile(r"(<!-- made: (\w+) -->\n).*?(<!-- end -->)", re.S)


def result(name: str) -> Any:
    """What a benchmark saved."""
    return json.loads((RESULTS / f"{name}.json").read_text("utf-8"))


# --- blocks of the page ---------------------------------------------------------------------------


def lavaan_block() -> str:
    """Whole fits beside lavaan."""
    cases = result("speed")["cases"]
    rows = []
    for record in cases:
        ours = record["mlsem"]["warm_cpu"]
        theirs = median(record["lavaan"]["cpu"]) if "lavaan" in record else None
        times = f"{theirs / ours:,.0f}" if theirs else "–"
        rows.append([record["case"], seconds(ours), seconds(theirs), times])
    versions = {record["lavaan"]["version"] for record in cases if "lavaan" in record}
    first = seconds(median(record["mlsem"]["cold"] for record in cases))
    return (
        f"{table(('', 'mlsem', ' '.join(('lavaan', *versions)), 'times'), rows)}\n\n"
        f"The first call in a process takes {first}: it loads pandas, mlsem and its parser."
    )


def others_block() -> str:
    """CR2 beside clubSandwich, random slopes beside lme4, the published study."""
    cr2 = {record["case"]: record for record in result("robust")["cases"]}
    few, many = cr2["6 x 1,200"], cr2["100,000 x 10"]
    text = (
        f"CR2 with its degrees of freedom takes {seconds(few['mlsem']['alone'])} for 6 clusters of "
        f"1,200 rows and {seconds(many['mlsem']['alone'])} for 100,000 of 10."
    )
    if "clubSandwich" in few:
        theirs = sum(median(few["clubSandwich"][each]) for each in ("vcovCR", "coef_test"))
        text += f" Of the former clubSandwich takes {seconds(theirs)}."
    slopes = {
        record["case"].replace("x", "×"): record["lme4"]["cpu"] / record["mlsem"]["cpu"]
        for record in result("mixed")["cases"]
        if "lme4" in record
    }
    if slopes:
        words = _listed([f"{times:.0f} times as long for {case}" for case, times in slopes.items()])
        text += f" A random slope by REML takes lme4 {words} rows."
    study = seconds(result("mixed")["study"])
    draws = result("batch")["cases"][0]
    return (
        f"{text} The published simulation (`mlsem study article`, 1,000 data sets, five methods) "
        f"takes {study} on two cores, and a second more where it starts their processes. "
        f"A {draws['case']}, takes {seconds(draws['together'])} of one: they are searched as one "
        f"computation; one by one they take {seconds(draws['alone'])}."
    )


WHY = (
    "What mlsem takes there it takes for any number of rows: it reads and checks the table, "
    "evaluates the likelihood four or five times, makes errors, cautions and a data frame of "
    "results, in some six thousand calls of Python and numpy, of which none stands out. What is "
    "faster is one compiled program for this one kind of model."
)


def verdict_block() -> str:
    """Where mlsem is the fastest of all, where it is not, by how much and why."""
    data = result("grid")
    ours = runs_of(data)
    behind = faster(data, robust=True)
    count = sum(name == OURS_ROBUST for name, _ in ours)
    text = (
        f"Of {count} designs mlsem is the fastest program to estimates and cluster-robust errors "
        f"at {count - len(behind)}."
    )
    if behind:
        text += f" It is not at {_behind(behind)}. {WHY}"
    plain = faster(data, robust=False)
    if plain:
        text += (
            f"\n\nTo estimates and model-based errors it is the fastest at {count - len(plain)}; "
            f"it is not at {_behind(plain)}."
        )
    return text


def _behind(found: list[Rival]) -> str:
    return _listed(
        [f"{each.design.title} ({each}, {1 / each.times:.2g} times as fast)" for each in found]
    )


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def peers_block() -> str:
    data = result("grid")
    return f"{about(data)}\n\n{every_peer(data)}\n\n{data['machine']}."


def growth_block() -> str:
    """Exponents of time and memory of every peer along every series."""
    data = result("grid")
    runs = runs_of(data)
    tables = []
    for what, words in (("cpu", "time"), ("memory", "memory")):
        head = (f"exponent of {words}", *(series.title for series in SERIES.values()))
        rows = [
            [name, *(growth(points(name, each, runs, what)) for each in SERIES.values())]
            for name, found in data["peers"].items()
            if not found["absent"]
        ]
        tables.append(table(head, rows))
    return "\n\n".join(tables)


def programs_block() -> str:
    return agreement(result("grid"))


def engines_block() -> str:
    """The largest files: a fit beside the grouping alone."""
    by_size: dict[tuple[str, int], dict[str, Any]] = {}
    for record in (*result("engines"), *result("engines_once")):
        if record["rows"] >= 10**7 and "wall" in record:
            by_size.setdefault((record["engine"], record["rows"]), {})[record["case"]] = record
    rows = []
    for (engine, count), cases in by_size.items():
        if len(cases) == 3:  # none failed
            bare = cases["bare"]["wall"]
            cells = [engine, f"{count:,}", seconds(bare)]
            for case in ("MLR", "CR2"):
                wall, memory = cases[case]["wall"], cases[case]["memory"]
                cells += [f"{seconds(wall)} ({wall / bare:.1f})", f"{memory / 1e3:.2f} GB"]
            rows.append(cells)
    head = ("engine", "rows", "grouping alone", "MLR (times the grouping)", "peak",
            "CR2 (times)", "peak")  # fmt: skip
    return table(head, rows)


def memory_block() -> str:
    """The range of shares by library."""
    records = result("memory")
    shares: dict[str, list[float]] = {}
    for record in records:
        shares.setdefault(record["frame"], []).append(record["share"])
    words = [f"{min(of):.1f} to {max(of):.1f} for {frame}" for frame, of in shares.items()]
    return (
        f"Of a data frame of {records[0]['rows']:,} unsorted rows a fit takes, beyond the frame "
        f"itself, at most so many times the size of the columns that it uses: {_listed(words)}, by "
        "the type of the columns."
    )


def many_block() -> str:
    """Clusters by the million: time and memory of each kind of errors."""
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for record in result("many_clusters"):
        size = f"{record['clusters']:,} × {record['size']}"
        found = record.get("error") or (
            f"{seconds(record['cpu'])}, {record['beyond'] / 1e3:.2f} GB"
        )
        cells.setdefault((size, record["model"]), {})[record["se"]] = found
    head = ("clusters × rows each", "model", "without errors", "MLR", "CR2 with df")
    rows = [[*key, *(of[se] for se in ("none", "MLR", "CR2"))] for key, of in cells.items()]
    return table(head, rows)


def surveys_block() -> str:
    """An assessment of a country, in seconds."""
    from benchmarks.surveys import CASES

    found = result("surveys")
    rows = [[CASES[case], seconds(median(took["cpu"]))] for case, took in found["seconds"].items()]
    if found["wemix"] is not None:
        rows.append(["WeMix: one plausible value, one weight", seconds(found["wemix"])])
    return table(("what is fitted", "processor time"), rows)


def trials_block() -> str:
    """A logit and a GEE beside other programs."""
    from benchmarks.trials import CASES, lines

    found = result("trials")["seconds"]
    rows = [row[:4] for case in CASES for row in lines(case, found[case])]
    return table(("what is fitted", "", "processor time", "times mlsem's"), rows)


BLOCKS: dict[str, Callable[[], str]] = {
    "lavaan": lavaan_block,
    "others": others_block,
    "verdict": verdict_block,
    "peers": peers_block,
    "growth": growth_block,
    "programs": programs_block,
    "engines": engines_block,
    "memory": memory_block,
    "many": many_block,
    "surveys": surveys_block,
    "trials": trials_block,
}


def filled(text: str) -> str:
    """The page with every block made anew."""
    return MADE.sub(lambda found: f"{found[1]}{BLOCKS[found[2]]()}\n{found[3]}", text)


# --- figures --------------------------------------------------------------------------------------


def source(*names: str) -> str:
    """A digest of results, which a figure of them carries."""
    found = b"".join((RESULTS / f"{name}.json").read_bytes() for name in names)
    return sha256(found).hexdigest()[:16]


def draw(folder: Path) -> None:
    """Write every figure into a folder."""
    from benchmarks.figures import MEGABYTES, SECONDS, engines_figure, peers_figure, write

    grid = result("grid")
    write(peers_figure(grid, SECONDS), folder / "benchmarks_time.svg", source("grid"))
    write(peers_figure(grid, MEGABYTES), folder / "benchmarks_memory.svg", source("grid"))
    engines = [*result("engines"), *result("engines_once")]
    write(
        engines_figure(engines),
        folder / "benchmarks_engines.svg",
        source("engines", "engines_once"),
    )


def main() -> None:
    PAGE.write_text(filled(PAGE.read_text("utf-8")), "utf-8")
    draw(FIGURES)


if __name__ == "__main__":
    main()
