"""Records → one HTML file: no network, all text of a user's escaped, readable without its script.

The page forbids itself every load (`Content-Security-Policy`) but for pictures that stand in it;
its one style and one script are known by their hashes.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from html import escape
from importlib.resources import files
from itertools import count
from math import isfinite, isinf, isnan

from mlsem.base.display import printable
from mlsem.report.cells import format_df, format_number, format_pvalue
from mlsem.report.page.records import (
    Code,
    Column,
    Facts,
    Figure,
    Items,
    Page,
    Paragraph,
    Part,
    Section,
    Subsection,
    Table,
    Value,
    Verdicts,
)

TONES = {"good": "Fine", "note": "Note", "caution": "Caution", "bad": "Problem"}
LONG = 30  # rows; longer tables have a window of their own
_QUIET, _NUMBER = ' class="quiet"', ' class="number"'


def render(page: Page) -> str:
    """The page as HTML."""
    style, script = _packed("page.css"), _packed("page.js")
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    numbers = count(1)
    body = "\n".join(_section(section, numbers) for section in page.sections)
    footer = f"<footer><p>{_text(page.footer)}</p></footer>" if page.footer else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{_text(page.title)}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#main">Skip to the results</a>
<div class="sheet">
<header>
<div class="tools"></div>
<h1>{_text(page.title)}</h1>
<p>{_text(page.subtitle)}</p>
</header>
{_contents(page.sections)}
<main id="main" tabindex="-1">
{body}
</main>
{footer}
</div>
<div class="said" role="status"></div>
<script>{script}</script>
</body>
</html>
"""


@cache
def _packed(name: str) -> str:
    return files("mlsem.report.page").joinpath(name).read_text("utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def _text(text: str) -> str:
    return escape(printable(text, keep="\n"))


def _contents(sections: tuple[Section, ...]) -> str:
    items = "\n".join(
        f'<li><a href="#{escape(each.key)}">{_text(each.title)}</a></li>' for each in sections
    )
    return (
        '<nav aria-labelledby="contents"><h2 id="contents">Contents</h2>\n'
        f"<ol>\n{items}\n</ol></nav>"
    )


def _section(section: Section, numbers: Iterator[int]) -> str:
    key = escape(section.key)
    parts = "\n".join(
        _subsection(part, numbers) if isinstance(part, Subsection) else _part(part, numbers)
        for part in section.parts
    )
    return (
        f'<section aria-labelledby="{key}"><h2 id="{key}">{_text(section.title)}</h2>\n'
        f"{parts}\n</section>"
    )


def _subsection(part: Subsection, numbers: Iterator[int]) -> str:
    inside = "\n".join(_part(each, numbers) for each in part.parts)
    return f"<h3>{_text(part.title)}</h3>\n{inside}"


def _part(part: Part, numbers: Iterator[int]) -> str:
    """`numbers` are those of tables."""
    match part:
        case Paragraph():
            return f"<p{_QUIET if part.quiet else ''}>{_text(part.text)}</p>"
        case Items():
            return "<ul>" + "".join(f"<li>{_text(each)}</li>" for each in part.texts) + "</ul>"
        case Code():
            return (
                f"<figure><figcaption>{_text(part.title)}</figcaption>"
                f"<pre><code>{_written(part.text)}</code></pre></figure>"
            )
        case Facts():
            pairs = (f"<dt>{_text(name)}</dt><dd>{_text(said)}</dd>" for name, said in part.rows)
            return "<dl>" + "\n".join(pairs) + "</dl>"
        case Verdicts():
            return _verdicts(part)
        case Table():
            return _table(part, next(numbers))
        case Figure():
            return _figure(part)


def _written(text: str) -> str:
    """Code, with its tabs and line ends."""
    return escape(printable(text.replace("\r\n", "\n"), keep="\n\t"))


def _verdicts(part: Verdicts) -> str:
    items = "\n".join(
        f'<li class="{each.tone}"><span class="tone">{TONES[each.tone]}</span>'
        f"<strong>{_linked(each.title, each.target)}</strong> "
        f'<span class="words">{_text(each.text)}</span></li>'
        for each in part.each
    )
    return f'<ul class="verdicts">\n{items}\n</ul>'


def _linked(words: str, target: str) -> str:
    return f'<a href="#{escape(target)}">{_text(words)}</a>' if target else _text(words)


def _figure(part: Figure) -> str:
    kind = {"svg": "image/svg+xml", "png": "image/png"}[part.kind]
    source = f"data:{kind};base64,{b64encode(part.data).decode()}"
    caption = f"<figcaption>{_text(part.caption)}</figcaption>" if part.caption else ""
    return (
        f'<figure><div class="paper"><img src="{source}" alt="{_text(part.alt)}" '
        f'width="{part.width}"></div>{caption}</figure>'
    )


# --- tables ---------------------------------------------------------------------------------------


def _table(part: Table, number: int) -> str:
    heads = "".join(
        f'<th scope="col"{_class(column)}>{_text(column.title)}</th>' for column in part.columns
    )
    rows = "\n".join(
        "<tr>"
        + "".join(
            _cell(column, value, part.digits)
            for column, value in zip(part.columns, row, strict=True)
        )
        + "</tr>"
        for row in part.rows
    )
    name = f"table-{number}"
    kind = "scroll long" if len(part.rows) > LONG else "scroll"
    note = f"<p{_QUIET}>{_text(part.note)}</p>" if part.note else ""
    return (
        f'<figure class="table"><div class="above"><figcaption id="{name}">'
        f'Table {number}. {_text(part.caption)}</figcaption><div class="tools"></div></div>\n'
        f'<div class="{kind}" role="group" aria-labelledby="{name}">'
        f'<table aria-labelledby="{name}"><thead><tr>{heads}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>{note}</figure>"
    )


def _class(column: Column) -> str:
    return _NUMBER if column.numeric else ""


def _cell(column: Column, value: Value, digits: int) -> str:
    if isinstance(value, str) or not column.numeric:
        shown = _text("" if value is None else str(value))
        if column.kind == "name":
            return f'<th scope="row">{shown}</th>'
        return f"<td{_class(column)}>{shown}</td>"
    if value is None or isnan(value):
        return f"<td{_class(column)}></td>"
    return (
        f'<td{_class(column)} data-value="{_exact(value)}">'
        f"{escape(_number(column, value, digits))}</td>"
    )


def _exact(value: float) -> str:
    """All digits, for sorting and spreadsheets, as JavaScript reads them."""
    if isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return str(value) if isinstance(value, int) else repr(float(value))


def _number(column: Column, value: float, digits: int) -> str:
    match column.kind:
        case "count":
            return f"{value:,.0f}" if isfinite(value) else format_number(value, 0)
        case "df":
            return format_df(value)
        case "p":
            return format_pvalue(value)
        case "share":
            return f"{value:.1%}"
        case _:
            return format_number(value, digits)
