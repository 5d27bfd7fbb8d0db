"""Texts and vectors that a script composes: `paste`, `sprintf`, `c`, `rep`, `seq`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mlsem.base.display import printable
from mlsem.porting.r.context import Bound, Context, r_function
from mlsem.porting.r.layout import Brackets, Doc, call, flat, grouped, items, literal, of_lines
from mlsem.porting.r.values import ATOM, PLUS, Refused, Value, known_range

if TYPE_CHECKING:
    from collections.abc import Sequence

SINGLE = {"text", "number", "any"}
SEVERAL = {"texts", "numbers"}
LONG = 60


@r_function("c")
def combine(context: Context, bound: Bound) -> Value:
    parts = bound.dots()
    if not parts:
        return Value("[]", "texts", constant=())
    values = [context.value(node) for _, node in parts]
    if all(name is not None for name, _ in parts):
        docs = tuple(
            f"{literal(str(name))}: {flat(value.doc)}"
            for (name, _), value in zip(parts, values, strict=True)
        )
        return Value(Brackets("{", docs, "}"), "dict")
    kinds = {value.kind for value in values}
    if not kinds <= SINGLE | SEVERAL | {"flag"}:
        raise Refused("c() of these is not translated.")
    kind = "texts" if kinds & {"text", "texts"} else "numbers"
    docs = [("*", value.within(ATOM)) if value.kind in SEVERAL else value.doc for value in values]
    return Value(items(docs), kind, constant=_constants(values))


def _constants(values: Sequence[Value]) -> tuple[object, ...] | None:
    flat_: list[object] = []
    for value in values:
        if value.kind in SEVERAL and isinstance(value.constant, tuple | range):
            flat_ += map(float, value.constant) if value.kind == "numbers" else value.constant
        elif isinstance(value.constant, str | float):
            flat_.append(value.constant)
        else:
            return None
    return tuple(flat_)


@r_function("paste0", "...")
def paste0(context: Context, bound: Bound) -> Value:
    return _paste(context, bound, "")


@r_function("paste str_c", "...")
def paste(context: Context, bound: Bound) -> Value:
    return _paste(context, bound, " " if bound.call.function == "paste" else "")


def _paste(context: Context, bound: Bound, between: str) -> Value:
    asked, collapse = bound.text("sep"), bound.text("collapse")
    sep = between if asked is None else asked
    values = [context.value(node) for _, node in bound.dots()]
    vectors = [value for value in values if value.kind in SEVERAL]
    if any(value.kind not in SINGLE | SEVERAL for value in values):
        raise Refused("paste() of these is not translated.")
    if not vectors:
        return _joined(values, sep)
    if len(values) == 1:
        vector = values[0]
        if collapse is None:
            return vector
        joined = (literal(collapse), call(".join", _as_texts(vector)))
        return Value(joined, "text", constant=_collapsed(values, sep, collapse))
    names = _variables(values, len(vectors))
    parts, k = [], 0
    for value in values:
        if value.kind in SEVERAL:
            parts.append(Value(names[k], "any"))
            k += 1
        else:
            parts.append(value)
    element = flat(_joined(parts, sep).doc)
    source = vectors[0].doc if k == 1 else call("zip", *(value.doc for value in vectors))
    if k > 1:  # R repeats the shorter; lengths that the script says must be the same
        _require_equal(vectors)
        source = call("zip", *(value.doc for value in vectors), strict="True")
    loop: Doc = (element, f" for {', '.join(names)} in ", source)
    if collapse is None:
        listed = Brackets("[", (loop,), "]", comma=False)
        return Value(listed, "texts", constant=_pasted(values, sep))
    constant = _collapsed(values, sep, collapse)
    return Value((literal(collapse), ".join", grouped(loop)), "text", constant=constant)


def _collapsed(values: Sequence[Value], sep: str, collapse: str) -> str | None:
    pasted = _pasted(values, sep)
    return None if pasted is None else collapse.join(pasted)


def _as_texts(vector: Value) -> Doc:
    return vector.doc if vector.kind == "texts" else call("map", "str", vector.doc)


def _variables(values: Sequence[Value], count: int) -> list[str]:
    """Names of elements that no other part of the text has."""
    used = set(re.findall(r"\w+", " ".join(flat(value.doc) for value in values)))
    free = (name for name in (*"ijklmn", *map("i{}".format, range(100))) if name not in used)
    return [name for name, _ in zip(free, range(count), strict=False)]


def _require_equal(vectors: Sequence[Value]) -> None:
    lengths = {length for value in vectors if (length := _length(value)) is not None}
    if len(lengths) > 1:
        raise Refused("paste() of vectors of different lengths is not translated.")


def _length(value: Value) -> int | None:
    return len(value.constant) if isinstance(value.constant, tuple | range) else None


def _pasted(values: Sequence[Value], sep: str) -> tuple[str, ...] | None:
    """What R makes of vectors that the script says."""
    columns = [_shown(value.constant) for value in values]
    known = [column for column in columns if column is not None]
    if len(known) < len(columns):
        return None
    longest = max(map(len, known), default=0)
    full = [column * longest if len(column) == 1 else column for column in known]
    return tuple(sep.join(row) for row in zip(*full, strict=False))


def _shown(constant: object) -> list[str] | None:
    """Elements as R writes them."""
    parts = list(constant) if isinstance(constant, tuple | range) else [constant]
    if not all(isinstance(part, str | int | float) for part in parts):
        return None
    return [part if isinstance(part, str) else f"{part:.15g}" for part in parts]


def _joined(values: Sequence[Value], sep: str) -> Value:
    """Texts in a row; what the script says is one literal, the rest stands in it as f"{…}"."""
    if all(isinstance(value.constant, str) for value in values):
        text = sep.join(str(value.constant) for value in values)
        if all(map(is_literal, values)):
            return Value(literal(text), "text", constant=text)
    constant = (
        sep.join(str(value.constant) for value in values)
        if all(isinstance(value.constant, str) for value in values)
        else None
    )
    if "\n" in sep and len(values) > 1:
        return Value(
            (literal(sep), ".join", Brackets("([", _docs(values), "])")), "text", ATOM, constant
        )
    formatted = _formatted(values, sep)
    return Value(formatted, "text", PLUS if isinstance(formatted, tuple) else ATOM, constant)


def is_literal(value: Value) -> bool:
    """Whether it is a text as the script writes it, not one that is composed or has a name."""
    written = isinstance(value.doc, str) and value.doc[:1] in ("'", '"')
    return written and isinstance(value.constant, str)


def _docs(values: Sequence[Value]) -> tuple[Doc, ...]:
    return tuple(v.doc if v.kind == "text" else call("str", v.doc) for v in values)


def _formatted(values: Sequence[Value], sep: str) -> Doc:
    pieces: list[str] = []
    for k, value in enumerate(values):
        if k and sep:
            pieces.append(_braced(sep))
        if is_literal(value):
            pieces.append(_braced(str(value.constant)))
        elif value.is_name:
            pieces.append(f"{{{value.doc}}}")
        else:
            return _added(values, sep)
    body = "".join(pieces)
    if body.count("\n") > 1 or ("\n" in body and len(body) > LONG):
        return "f" + of_lines(body)
    return 'f"' + body.replace("\n", "\\n").replace("\t", "\\t").replace('"', '\\"') + '"'


def _braced(text: str) -> str:
    shown = printable(text.replace("\\", "\\\\"), keep="\n\t")
    return shown.replace("{", "{{").replace("}", "}}")


def _added(values: Sequence[Value], sep: str) -> Doc:
    """Texts joined by +, those that the script says in one piece where they meet."""
    pieces: list[Value] = []
    for k, value in enumerate(values):
        if k and sep:
            pieces.append(Value(literal(sep), "text", constant=sep))
        pieces.append(value)
    merged: list[Value] = []
    for piece in pieces:
        said = is_literal(piece)
        if said and merged and is_literal(merged[-1]):
            text = f"{merged[-1].constant}{piece.constant}"
            merged[-1] = Value(literal(text), "text", constant=text)
        else:
            merged.append(piece)
    docs: list[Doc] = []
    for piece in merged:
        text = piece.kind == "text"
        docs += [" + ", piece.within(PLUS + 1) if text else call("str", piece.doc)]
    return tuple(docs[1:])


@r_function("sprintf", "fmt ...")
def sprintf(context: Context, bound: Bound) -> Value:
    form = bound.needed("fmt")
    values = [context.value(node) for _, node in bound.dots()]
    if not isinstance(form.constant, str):
        raise Refused("the format of sprintf() is not written in the call.")
    marks = re.findall(r"%(?!%)[-+ 0#]*\d*(?:\.\d+)?[a-zA-Z]", form.constant)
    if len(marks) != len(values) or any(each[-1] not in "sdifgeGEx" for each in marks):
        raise Refused("this format of sprintf() is not translated.")
    if any(value.kind in SEVERAL | {"column", "series"} for value in values):
        if len(values) != 1:
            raise Refused("sprintf() of several vectors is not translated.")
        loop: Doc = (form.atom, " % i for i in ", values[0].doc)
        return Value(Brackets("[", (loop,), "]", comma=False), "texts")
    if not values:
        return Value(literal(form.constant.replace("%%", "%")), "text")
    docs = tuple(value.doc for value in values)
    if len(docs) == 1:
        return Value((form.atom, " % ", values[0].atom), "text", PLUS + 1)
    return Value((form.atom, " % ", Brackets("(", docs, ")")), "text", PLUS + 1)


@r_function("rep", "x times")
def rep(context: Context, bound: Bound) -> Value:
    x, times = bound.needed("x"), bound.needed("times")
    if times.kind != "number" or x.kind not in SINGLE | SEVERAL:
        raise Refused("rep() of these is not translated.")
    inner = call("list", x.doc) if x.kind in SEVERAL else items((x.doc,))
    return Value((inner, " * ", times.whole), "texts" if "text" in x.kind else "numbers", PLUS + 1)


@r_function("seq seq_len", "from to by")
def seq(context: Context, bound: Bound) -> Value:
    first, last, by = bound.needed("from"), bound.value("to"), bound.value("by")
    if last is None:
        first, last = Value("1", "number", constant=1.0), first
    numbers = [first.constant, last.constant, 1.0 if by is None else by.constant]
    if any(not isinstance(each, float) or each != int(each) for each in numbers):
        return _arange(context, first, last, by)
    start, end, step = (int(each) for each in numbers if isinstance(each, float))
    docs = [str(start), str(end + (1 if step > 0 else -1))]
    made = known_range(start, int(docs[1])) if step == 1 else None
    doc = call("range", *docs, *([] if step == 1 else [str(step)]))
    return Value(doc, "numbers", constant=made or None)


def _arange(context: Context, first: Value, last: Value, by: Value | None) -> Value:
    if by is None:
        raise Refused("seq() of these is not translated.")
    step = by.atom
    stop: Doc = (last.within(PLUS), " + ", step, " / 2")
    return Value(call(f"{context.numpy()}.arange", first.doc, stop, by.doc), "numbers")


@r_function("list")
def list_(context: Context, bound: Bound) -> Value:
    parts = bound.dots()
    values = [context.value(node) for _, node in parts]
    if parts and all(name is not None for name, _ in parts):
        docs: tuple[Doc, ...] = tuple(
            (f"{literal(str(name))}: ", value.doc)
            for (name, _), value in zip(parts, values, strict=True)
        )
        return Value(Brackets("{", docs, "}"), "dict")
    return Value(items(value.doc for value in values), "list")


@r_function("trimws str_trim", "x")
def trim(_: Context, bound: Bound) -> Value:
    text = bound.needed("x")
    if text.kind != "text":
        raise Refused("this is not translated.")
    return Value((text.atom, ".strip()"), "text", constant=text.constant)


@r_function("nchar", "x")
def nchar(_: Context, bound: Bound) -> Value:
    text = bound.needed("x")
    if text.kind != "text":
        raise Refused("nchar() of what is no text is not translated.")
    return Value(call("len", text.doc), "number")
