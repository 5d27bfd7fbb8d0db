"""The tables of `benchmarks.grid`, from what it saved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from benchmarks.common import seconds, table
from benchmarks.designs import SERIES, Design, Series, designs_of, exponent
from benchmarks.peers import MODEL_BASED

LEAST = 1.0  # MB: less is noise
LAST = 3  # points of a series that an exponent is fitted to
UNSAID = 0.1  # share by which wall and processor time may differ without its being told
OURS, OURS_ROBUST = "mlsem", "mlsem, MLR"

Record = dict[str, Any]
Runs = dict[tuple[str, Design], Record]
Points = list[tuple[int, float]]


def runs_of(data: dict[str, Any]) -> Runs:
    """The saved records by peer and design."""
    numbers = ("clusters", "size", "predictors", "factors")
    return {(r["peer"], Design(*(r[each] for each in numbers))): r for r in data["runs"]}


def points(name: str, series: Series, runs: Runs, what: str, least: float = 0.0) -> Points:
    """What was measured of a peer along a series."""
    found = [(series.number(d), runs.get((name, d), {}).get(what)) for d in series.designs]
    return [(x, value) for x, value in found if value is not None and value > least]


def growth(found: Points) -> str:
    """The exponent of the last points, and their range."""
    last = found[-LAST:]
    if len(last) < 2:
        return "–"
    slope = round(exponent(last), 2) + 0.0  # no "-0.00"
    return f"{slope:.2f} ({last[0][0]:,} to {last[-1][0]:,})"


def time(record: Record | None) -> str:
    """Processor time, wall time where it is another; italics: foreseen, not measured."""
    if record is None:
        return ""
    if "error" in record:
        return record["error"].replace("stopped after", ">")
    if "foreseen" in record:
        return f"*{seconds(record['foreseen'])}*"
    cpu, wall = record["cpu"], record["wall"]
    other = abs(wall / cpu - 1.0) > UNSAID
    return seconds(cpu) + (f" ({seconds(wall)})" if other else "")


def memory(record: Record | None) -> str:
    found = (record or {}).get("memory")
    return "" if found is None else "< 1" if found < LEAST else f"{found:,.0f}"


def series_table(data: dict[str, Any], series: Series) -> str:
    """Time and memory of every peer along a series, with their exponents."""
    runs = runs_of(data)
    numbers = [f"{series.number(design):,}" for design in series.designs]
    head = ("", "errors", *numbers, "exponent", *(f"{x}: MB" for x in numbers), "exponent")
    rows = []
    for name, about in data["peers"].items():
        of = [runs.get((name, design)) for design in series.designs]
        if any(of):
            rows.append(
                [name, about["errors"],
                 *map(time, of), growth(points(name, series, runs, "cpu")),
                 *map(memory, of), growth(points(name, series, runs, "memory", LEAST))]
            )  # fmt: skip
    return table(head, rows)


@dataclass(frozen=True)
class Rival:
    """The fastest other program at a design, by what was measured if anything was."""

    design: Design
    name: str
    record: Record
    times: float  # its time over mlsem's

    def __str__(self) -> str:
        return f"{self.name}: {time(self.record)}"


def rival(data: dict[str, Any], design: Design, *, robust: bool) -> Rival | None:
    """Among programs with cluster-robust errors, or among those with model-based ones."""
    runs = runs_of(data)
    ours = runs.get((OURS_ROBUST if robust else OURS, design), {}).get("cpu")
    others = {
        name: runs[name, design]
        for name, about in data["peers"].items()
        if (about["errors"] != MODEL_BASED) == robust and (name, design) in runs
    }
    for what in ("cpu", "foreseen"):
        found = {
            name: record
            for name, record in others.items()
            if what in record and not name.startswith("mlsem")
        }
        if ours and found:
            name = min(found, key=lambda name: found[name][what])
            return Rival(design, name, found[name], found[name][what] / ours)
    return None


def every_peer(data: dict[str, Any]) -> str:
    """At every design: mlsem beside the fastest other program."""
    runs, rows = runs_of(data), []
    for design in sorted(designs_of([*SERIES]), key=lambda d: (d.factors, d.predictors)):
        cells = [design.title, f"{design.rows:,}"]
        for robust in (True, False):
            cells.append(time(runs.get((OURS_ROBUST if robust else OURS, design))))
            found = rival(data, design, robust=robust)
            cells += ["none", "–"] if found is None else [str(found), _times(found.times)]
        rows.append(cells)
    head = (
        "clusters × rows each", "rows", "mlsem, MLR", "fastest other with robust errors",
        "its time / mlsem's", "mlsem, model-based", "fastest other with model-based errors",
        "its time / mlsem's",
    )  # fmt: skip
    return table(head, rows)


def _times(ratio: float) -> str:
    return f"{float(f'{ratio:.2g}'):,.0f}" if ratio >= 10 else f"{ratio:.2g}"


def faster(data: dict[str, Any], *, robust: bool) -> list[Rival]:
    """Programs that are faster than mlsem, by design."""
    found = [rival(data, design, robust=robust) for design in designs_of([*SERIES])]
    return [each for each in found if each is not None and each.times < 1.0]


def agreement(data: dict[str, Any]) -> str:
    """Peers, versions, how far their answers are from mlsem's, and why some did not run."""
    rows = []
    for name, about in data["peers"].items():
        own = [r for r in data["runs"] if r["peer"] == name]
        first = next((r["first"] for r in own if "first" in r), None)
        rows.append(
            [name, about["version"] or "–", about["errors"], seconds(first),
             _largest(own, "estimates apart"), _largest(own, "errors apart"),
             "; ".join(_reasons(about, own, data))]
        )  # fmt: skip
    head = (
        "", "version", "errors", "first call, 50 × 10", "estimates apart", "robust errors apart",
        "what did not run, and why",
    )  # fmt: skip
    return table(head, rows)


def _largest(records: list[Record], what: str) -> str:
    return f"{max(found):.0e}" if (found := [r[what] for r in records if what in r]) else "–"


def _reasons(about: dict[str, Any], own: list[Record], data: dict[str, Any]) -> list[str]:
    if about["absent"]:
        return [about["absent"]]
    ahead = sum("foreseen" in r for r in own)
    stopped = sum("error" in r for r in own)
    reasons = [] if about["latent"] else ["factor models: it has none at two levels"]
    if ahead:
        reasons.append(f"{ahead} of {len(own)} designs: more than {data['limit']:g} s foreseen")
    if stopped:
        first = next(r["error"] for r in own if "error" in r)
        reasons.append(f"{stopped} of {len(own)} designs: {first} at the smallest of them")
    return reasons


ABOUT = (
    "y ~ x1 + … + xp + w1 + w1:x1 with a random intercept, or K factors of three indicators each "
    "at both levels, by maximum likelihood: processor seconds from the data frame in memory to "
    "estimates and their standard errors, one thread, median of repeated calls; in brackets the "
    "wall time where it differs by more than a tenth. In italics: not run, since what smaller "
    "designs took, led on by the exponent of the last two (1 at least), is more than {limit:g} s. "
    "Memory: the peak of a first call beyond what the process had. Every exponent is the slope of "
    "log time, or log memory, on the logarithm of what grows, over the last three measured points; "
    "in brackets from where to where. CR0, CR2 and MLR are cluster-robust; model-based errors are "
    "not, and are what the program has. R's and Julia's start is not counted. None: no "
    "other program has the model and came to an end."
)
APART = (
    "The largest difference of an estimate from mlsem's in standard errors, of a robust standard "
    "error from mlsem's of the same kind relative to it, over designs of up to 100,000 rows."
)


def about(data: dict[str, Any]) -> str:
    return ABOUT.format(**data)


def grid_text(data: dict[str, Any]) -> str:
    """The whole of results/grid.md."""
    parts = ["# Against every peer", f"{data['machine']}.", about(data), every_peer(data)]
    for series in SERIES.values():
        parts += [f"## {series.title[0].upper()}{series.title[1:]}", series_table(data, series)]
    parts += ["## Programs", APART, agreement(data)]
    return "\n\n".join(parts)
