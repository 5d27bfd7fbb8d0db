"""Mplus' language, as far as it is needed to say how its statements are written here."""

from __future__ import annotations

import re
from typing import NamedTuple

LONGEST_STATEMENT = 2_000
_KEYWORD = re.compile(
    r"(?<![\w.])(?P<word>BY|ON|WITH|PON|PWITH|XWITH|IND|VIA|IS|ARE|EQUAL)(?![\w.])", re.IGNORECASE
)
_LEVEL = re.compile(r"%\s*(WITHIN|BETWEEN)\b[^%\n;]*%", re.IGNORECASE)
_ITEM = re.compile(
    r"\s*(?P<name>[A-Za-z][\w.]*)(?:\s*-\s*(?P<last>[A-Za-z][\w.]*))?"
    r"(?:\s*(?P<how>[@*])\s*(?P<value>-?[\d.]+)?)?\s*(?:\((?P<label>[A-Za-z0-9_]+)\))?"
)
_PATH = {"by": "=~", "on": "~", "with": "~~", "pon": "~", "pwith": "~~"}
_SECTION = re.compile(
    r"(?<![\w.])(TITLE|DATA|VARIABLE|DEFINE|ANALYSIS|OUTPUT|SAVEDATA|PLOT|MONTECARLO|"
    r"MODEL(?:[^\S\n]+(?:CONSTRAINT|INDIRECT|TEST|PRIORS|POPULATION))?)\s*:",
    re.IGNORECASE,
)
# What stands before '=', 'IS' or 'ARE' in the other sections → what there is here.
_SETTINGS = {
    "type": "leave it out: two levels are the headers 'level: 1' and 'level: 2'",
    "estimator": 'it is an option of the call, fit(model, data, estimator="{value}")',
    "cluster": 'the clusters are named in the call, fit(model, data, cluster="{value}")',
    "within": "leave it out: the level at which the model names a variable says it",
    "between": "leave it out: the level at which the model names a variable says it",
    "names": "leave it out: the columns of the data frame have their names",
    "usevariables": "leave it out: the model names the columns that it uses",
    "usevar": "leave it out: the model names the columns that it uses",
    "usev": "leave it out: the model names the columns that it uses",
    "missing": "leave it out: mark missing values when reading, pandas.read_csv(…, na_values=[…])",
    "file": "leave it out: the data are a pandas data frame, pandas.read_csv(…)",
    "categorical": "ordered variables are not fitted here",
    "weight": "sampling weights are not supported",
    "grouping": 'the groups are named in the call, fit(model, data, group="{value}")',
    "idvariable": "leave it out: rows keep the index of the data frame",
    "algorithm": "leave it out: there is one algorithm",
    "iterations": "it is an option of the call, fit(model, data, max_iter={value})",
    "processors": "leave it out",
}
_SAID = {
    "model": "here the model begins with its first formula, or with 'level: 1'",
    "title": "leave it out, or make it a comment, '# …'",
    "data": "the data are a pandas data frame, pandas.read_csv(…), given to fit(model, data)",
    "variable": "the columns of the data frame have their names; the clusters are named in the "
    'call, fit(model, data, cluster="…")',
    "define": 'compute columns in the data frame; center={"x": "cluster"} in the call centres',
    "analysis": "two levels are the headers 'level: 1' and 'level: 2'; the estimator is an option "
    'of the call, estimator="MLR"',
    "output": "results are asked of the fit, e.g. fit.summary(), fit.conf_int()",
    "savedata": "results are data frames, e.g. fit.parameter_estimates().to_csv(…)",
    "plot": "leave it out",
    "montecarlo": "simulations are mlsem.simulate and mlsem.study",
    "model constraint": "here 'ab := a*b' defines a quantity and 'a == b' constrains labels, among "
    "the formulas",
    "model indirect": "label the paths and write their product, 'y ~ b*m', 'm ~ a*x', 'ab := a*b'",
    "model test": 'test it after fitting, fit.wald_test("a == b")',
}


class Found(NamedTuple):
    """A sign of Mplus in a statement: where in it, and what to write instead."""

    start: int
    end: int
    message: str


def found_in(statement: str) -> Found | None:
    """What of Mplus' language stands in a statement (without comments), if anything."""
    if len(statement) > LONGEST_STATEMENT:
        return None
    for find in (_section, _level, _setting, _relation, _bracket, _mark):
        finding = find(statement)
        if finding is not None:
            return finding
    return None


def section_advice(word: str) -> str:
    """What there is here in place of a section of an Mplus input, or nothing."""
    said = _SAID.get(" ".join(word.lower().split()))
    return f"'{word}:' is Mplus: {said}." if said else ""


def _section(statement: str) -> Found | None:
    group = re.match(r"\s*(MODEL[^\S\n]+(\w+)[^\S\n]*:)", statement, re.IGNORECASE)
    if group is not None and not _SECTION.match(statement.lstrip()):
        return Found(
            group.start(1),
            group.end(1),
            f"{group[1]!r} is Mplus: here the whole model of one group stands below 'group: "
            f"{group[2]}', and what is different in a model for all is written 'c(a, b)*x'; "
            "group_equal=[…] in the call says what is equal.",
        )
    section = _SECTION.match(statement.lstrip())
    said = section_advice(section[1]) if section else ""
    if section is None or not said:
        return None
    offset = len(statement) - len(statement.lstrip())
    return Found(offset + section.start(), offset + section.end(), said)


def _level(statement: str) -> Found | None:
    level = _LEVEL.search(statement)
    if level is None:
        other = re.match(r"\s*%(?:OVERALL%|\w+\s*$)", statement, re.IGNORECASE)  # '#' is a comment
        message = "is Mplus' language of mixtures, and latent classes are not fitted here."
        return other and Found(other.start(), other.end(), f"{other[0].strip()!r} {message}")
    number = 1 if level[1].lower() == "within" else 2
    return Found(
        level.start(),
        level.end(),
        f"{level[0]!r} is Mplus: here this block begins with 'level: {number}', on a line of "
        "its own.",
    )


def _setting(statement: str) -> Found | None:
    setting = re.match(
        r"\s*(?P<name>[A-Za-z]+)\s*(?:=(?![~=])|\bIS\b|\bARE\b)\s*(?P<value>[^;\n]*)",
        statement,
        re.IGNORECASE,
    )
    said = _SETTINGS.get(setting["name"].lower()) if setting else None
    if setting is None or said is None:
        return None
    value = re.sub(r"\s*\(.*", "", setting["value"].strip())  # GROUPING = g (1 = a 2 = b)
    said = said.replace("{value}", value if re.fullmatch(r"\w+", value) else "…")
    return Found(
        setting.start("name"), setting.end("name"), f"{setting[0].strip()!r} is Mplus: {said}."
    )


def _relation(statement: str) -> Found | None:
    keyword = _KEYWORD.search(statement)
    if keyword is None or re.search(r"[~<>]", statement):
        return None
    written = written_here(statement)
    word = keyword["word"]
    if written is not None:
        shown = "; ".join(written)
        message = f"{word!r} is Mplus: here it is written '{shown}'."
    elif word.lower() in _PATH:
        operator = _PATH[word.lower()]
        message = f"{word!r} is Mplus: here it is '{operator}', and terms are joined with '+'."
    elif word.lower() == "xwith":
        message = "'XWITH' is Mplus: products with latent variables are not fitted here."
    elif word.lower() in ("ind", "via"):
        message = f"{word!r} is Mplus: {_SAID['model indirect']}."
    else:
        return None
    return Found(keyword.start("word"), keyword.end("word"), message)


def _bracket(statement: str) -> Found | None:
    bracket = re.match(r"\s*(\[[^\]\n]*\])", statement)
    written = written_here(bracket[1]) if bracket else None
    if bracket is None or written is None:
        return None
    shown = "; ".join(written)
    message = f"{bracket[1]!r} is Mplus: here a mean or intercept is written '{shown}'."
    return Found(bracket.start(1), bracket.end(1), message)


def _mark(statement: str) -> Found | None:
    """`y@1`, in whatever statement."""
    mark = re.search(r"(?<![\w.])(?P<name>[A-Za-z_][\w.]*)\s*@\s*(?P<value>-?[\d.]+)", statement)
    if mark is None:
        return None
    name, value = mark["name"], mark["value"]
    written = written_here(statement)
    alone = re.fullmatch(r"\s*[\w.]+\s*@\s*-?[\d.]+\s*", statement)
    here = "; ".join(written) if alone and written else f"{value}*{name}"
    return Found(mark.start(), mark.end(), f"'@' is Mplus: here {mark[0]!r} is written '{here}'.")


# --- translation --------------------------------------------------------------------------------


def written_here(statement: str) -> list[str] | None:
    """A statement of Mplus' MODEL in the language here; None where that is not known."""
    statement = " ".join(statement.strip().rstrip(";").split())
    level = _LEVEL.fullmatch(statement)
    if level is not None:
        return [f"level: {1 if level[1].lower() == 'within' else 2}"]
    means = re.fullmatch(r"\[(.*)\]", statement)
    if means is not None:
        items = _items(means[1], free="")
        return None if items is None else [f"{name} ~ {modifier}1" for name, modifier in items]
    slope = re.fullmatch(r"(\w+)\s*\|\s*(\w[\w.]*) ON (\w[\w.]*)", statement, re.IGNORECASE)
    if slope is not None:
        return [f'{slope[2]} ~ rv("{slope[1]}")*{slope[3]}']
    keywords = list(_KEYWORD.finditer(statement))
    if not keywords:
        items = _items(statement, free="")
        return (
            None if items is None else [f"{name} ~~ {modifier}{name}" for name, modifier in items]
        )
    word = keywords[0]["word"].lower()
    if len(keywords) > 1 or word not in _PATH:
        return None
    left = _items(statement[: keywords[0].start()], free="")
    right = _items(statement[keywords[0].end() :], free="NA*" if word == "by" else "")
    if left is None or right is None or any(modifier for _, modifier in left):
        return None
    return _relations(word, [name for name, _ in left], [m + name for name, m in right])


def _relations(word: str, left: list[str], right: list[str]) -> list[str] | None:
    operator = _PATH[word]
    if word in ("pon", "pwith"):
        if len(left) != len(right):
            return None
        return [f"{a} {operator} {b}" for a, b in zip(left, right, strict=True)]
    return [f"{' + '.join(left)} {operator} {' + '.join(right)}"]


def _items(text: str, free: str) -> list[tuple[str, str]] | None:
    """The names of a list, each with its modifiers; `free` is what `y*` says."""
    items: list[tuple[str, str]] = []
    place = unlabelled = 0
    text = text.strip()
    while place < len(text):
        item = _ITEM.match(text, place)
        if item is None or item.end() == place:
            return None
        names = [item["name"]] if item["last"] is None else _range(item["name"], item["last"])
        modifier = _modifier(item["how"], item["value"], free)
        unlabelled += len(names or ())
        if names is None or modifier is None or (item["label"] and unlabelled > 1):
            return None  # a label after several names is one for each, by rules of its own
        if item["label"]:
            label, unlabelled = item["label"], 0
            modifier = f"{'eq' if label[0].isdigit() else ''}{label}*{modifier}"
        items += [(name, modifier) for name in names]
        place = item.end()
    return items or None


def _modifier(how: str | None, value: str | None, free: str) -> str | None:
    if how is None:
        return ""
    if how == "@":
        return None if value is None else f"{value}*"
    return free if value is None else f"{free}start({value})*"


def _range(first: str, last: str) -> list[str] | None:
    """`y1-y5`."""
    ends = [re.fullmatch(r"(.*?)(\d+)", name) for name in (first, last)]
    if ends[0] is None or ends[1] is None or ends[0][1].lower() != ends[1][1].lower():
        return None
    low, high = int(ends[0][2]), int(ends[1][2])
    return [f"{ends[0][1]}{k}" for k in range(low, high + 1)] if low < high < low + 400 else None


def translated(text: str) -> str | None:
    """An Mplus input's model in the language here; None unless every statement is known."""
    if len(text) > 50 * LONGEST_STATEMENT:
        return None
    text = re.sub(r"![^\r\n]*", "", text)
    lines: list[str] = []
    new: set[str] = set()
    for section, body in _sections(text):
        if section == "model":
            for statement in _statements(body):
                written = written_here(statement)
                if written is None:
                    return None
                lines += written
        elif section == "model constraint":
            for statement in _statements(body):
                written = _constraint(statement, new)
                if written is None:
                    return None
                lines += written
        elif section.startswith("model"):
            return None
    return "\n".join(lines) if lines else None


def _constraint(statement: str, new: set[str]) -> list[str] | None:
    declared = re.fullmatch(r"NEW\s*\(([\w\s]+)\)", statement.strip(), re.IGNORECASE)
    if declared is not None:
        new |= set(declared[1].split())
        return []
    relation = re.fullmatch(r"\s*([\w.]+)\s*([=<>])\s*(\S.*)", statement.replace("**", "^"))
    if relation is None:
        return None
    operator = {"=": ":=" if relation[1] in new else "=="}.get(relation[2], relation[2])
    return [f"{relation[1]} {operator} {relation[3].strip()}"]


def _sections(text: str) -> list[tuple[str, str]]:
    """(name, body) of each; a text without sections is a model."""
    heads = list(_SECTION.finditer(text))
    if not heads:
        return [("model", text)]
    ends = [*(head.start() for head in heads[1:]), len(text)]
    return [
        (" ".join(head[1].lower().split()), text[head.end() : end])
        for head, end in zip(heads, ends, strict=True)
    ]


def _statements(body: str) -> list[str]:
    """`%WITHIN%` needs no semicolon."""
    marked = _LEVEL.sub(lambda level: f";{level[0]};", body)
    return [part for part in marked.split(";") if part.strip()]
