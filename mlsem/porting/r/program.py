"""A script, statement by statement; what is not translated stays as a comment in its place."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mlsem.porting.r import (
    basics,
    clusters,
    fits,
    frames,
    mixed,
    mixed_fits,
    predictions,
    reading,
    results,
    robust,
    survey_designs,
    survey_fits,
    testing,
    texts,
    updates,
)
from mlsem.porting.r.basics import is_figure, is_installation, printed
from mlsem.porting.r.columns import column_of
from mlsem.porting.r.conditions import condition
from mlsem.porting.r.context import Context, external_table, short
from mlsem.porting.r.expressions import evaluate
from mlsem.porting.r.frames import assigned
from mlsem.porting.r.layout import (
    Brackets,
    Doc,
    at,
    call,
    comment,
    flat,
    literal,
    method,
    render,
    said,
)
from mlsem.porting.r.nodes import (
    Argument,
    Assign,
    Binary,
    Call,
    Comment,
    Field,
    Function,
    Index,
    Name,
    Node,
    Number,
    Other,
    Statement,
    Text,
    walk,
)
from mlsem.porting.r.read import read_script, unquoted
from mlsem.porting.r.values import Refused, Value
from mlsem.porting.result import Port

SUBJECTS = (basics, clusters, fits, frames, mixed, mixed_fits, predictions, reading, results)
SUBJECTS += (robust, survey_designs, survey_fits, testing, texts, updates)
"""Imported for the functions that they enter in the table."""
NO_VALUE = ("nothing", "silent", "printed")
LONGEST = 40
"""Lines of R that are quoted of one statement."""


def port_r(text: str, *, table: str | None = None) -> Port:
    """An R script as a Python program. The script is parsed, never run.

    Parameters
    ----------
    text : str
    table : str, optional
        The file of a table that the script has from elsewhere (of a package, `readRDS`).

    Returns
    -------
    Port

    Raises
    ------
    ModelSyntaxError, InterfaceError
    """
    program = _Program(Context(evaluate, table))
    for item in read_script(text):
        program.add(item)
    return program.port()


@dataclass
class _Program:
    context: Context
    body: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    statements: int = 0
    untranslated: int = 0
    last: str = ""  # what a comment behind a statement would follow

    def add(self, item: Statement | Comment) -> None:
        if item.gap and self.body and self.body[-1]:
            self.body.append("")
        if isinstance(item, Comment):
            self._comment(item)
        else:
            self._statement(item.node)

    def _comment(self, item: Comment) -> None:
        lines = comment(item.text.lstrip("#'").rstrip("# ").strip())
        fits = self.body and len(self.body[-1]) + len(lines[0]) <= 86
        if item.trailing and self.last and fits and self.body[-1] == self.last:
            self.body[-1] += f"  {lines[0]}"
        else:
            self.body += lines
        self.last = ""

    def _statement(self, node: Node) -> None:
        context = self.context
        context.remarks, context.before, context.left, context.masks = [], [], 0, []
        context.shown = node
        if isinstance(node, Other) and is_installation(node.source):
            return
        variables = dict(context.variables)
        try:
            lines = self._translated(node)
        except Refused as reason:
            # what was said on the way is of a statement that is not there
            context.variables = variables
            context.remarks, context.before, context.left = [], [], 0
            self._refused(node, reason.args[0])
            return
        if not lines and not context.remarks:
            self.last = ""
            return
        self.statements += 1
        self.untranslated += context.left
        for remark in context.remarks:
            self.notes.append(remark)
            self.body += said(remark)
        self.body += [line for block in (*context.before, *lines) for line in block.split("\n")]
        self.last = self.body[-1] if lines else ""

    def _translated(self, node: Node) -> list[str]:
        if isinstance(node, Assign):
            return _assignment(self.context, node)
        if is_figure(node):
            raise Refused("ggplot() draws a figure: use matplotlib.")
        value = printed(self._shown(node))
        if value.kind == "silent":
            return []
        return [render(value.doc)]

    def _shown(self, node: Node) -> Value:
        if isinstance(node, Name) and node.name not in self.context.variables:
            raise Refused(f"the script does not say before what {node.name} is.")
        return self.context.value(node)

    def _refused(self, node: Node, reason: str) -> None:
        self.statements += 1
        self.untranslated += 1
        for name in _made_by(node):
            self.context.lose(name)
        sentence = f"Not translated: {reason}"
        self.notes.append(sentence)
        self.body += said(sentence)
        quoted = comment(node.source, "#   ")
        self.body += quoted[:LONGEST]
        if len(quoted) > LONGEST:
            self.body.append(f"#   … and {len(quoted) - LONGEST} lines more")
        self.last = ""

    def port(self) -> Port:
        context = self.context
        code = "\n".join(self.body).strip("\n")
        modules = sorted(context.imports)
        if "mlsem." in code or not modules:
            modules = ["import mlsem", *modules]
        parts = [_header(self.statements, self.untranslated), "\n".join(modules)]
        program = "\n\n".join([*parts, *([code] if code else [])]) + "\n"
        return Port(program, tuple(self.notes), self.untranslated)


def _header(statements: int, untranslated: int) -> str:
    lines = [f"Translated from R: {statements} statement{'s' * (statements != 1)}."]
    if untranslated:
        was = "place was" if untranslated == 1 else "places were"
        lines.append(f'{untranslated} {was} not translated: look for "Not translated".')
    return "\n".join(comment("\n".join(lines)))


_ASSIGNED = re.compile(
    r"([\w.]+|`[^`]*`)(?:\$[\w.]+|\[[^\]\n]*\])*\s*(?:<<?-(?!-)|:=)"
    r"|^\s*([\w.]+)(?:\$[\w.]+)?\s*=(?!=)|->>?\s*([\w.]+)",
    re.MULTILINE,
)
IN_PLACE = {"setDT", "setDF", "setnames", "setorder", "setkey", "set", "assign", "fix", "edit"}


def _made_by(node: Node) -> list[str]:
    """Variables that a statement makes or changes, also inside of what is not read."""
    names = []
    for each in walk(node):
        match each:
            case Assign(target=target):
                names.append(_variable_of(target))
            case Call(function=function, arguments=arguments) if function in IN_PLACE:
                names += [_variable_of(each.value) for each in arguments]
            case Index(of=of, arguments=arguments):  # data.table's dt[, x := 1]
                if any(isinstance(each.value, Assign) for each in arguments):
                    names.append(_variable_of(of))
            case Other(source=source):
                found = _ASSIGNED.findall(source)
                names += [unquoted(name) for groups in found for name in groups]
            case _:
                pass
    return [name for name in names if name]


def _variable_of(target: Node | None) -> str:
    """The variable that an assignment to a part of it changes."""
    match target:
        case Name(name=name) | Text(value=name):
            return name
        case Field(of=of) | Index(of=of):
            return _variable_of(of)
        case Call(arguments=(Argument(value=of), *_)):  # names(x) <- …
            return _variable_of(of)
        case _:
            return ""


# --- assignments --------------------------------------------------------------------------------


def _assignment(context: Context, node: Assign) -> list[str]:
    target, value = node.target, node.value
    names: list[str] = []
    while isinstance(value, Assign):  # a <- b <- 1
        if not isinstance(value.target, Name):
            raise Refused("an assignment in an assignment is not translated.")
        names.append(value.target.name)
        value = value.value
    match target:
        case Name(name=name) | Text(value=name):
            return _to_names(context, [name, *names], value)
        case Field(of=Name(name=frame), name=column):
            return _to_column(context, frame, column, value)
        case Index(of=Name(name=frame), arguments=(Argument(value=Text(value=column)),)):
            return _to_column(context, frame, column, value)
        case Index(
            of=Name(name=frame),
            arguments=(Argument(value=None), Argument(value=Text(value=column))),
        ):
            return _to_column(context, frame, column, value)
        case Index(of=Field(of=Name(name=frame), name=column), arguments=(Argument(value=rows),)):
            return _to_cells(context, frame, column, rows, value)
        case Index(
            of=Index(of=Name(name=frame), arguments=(Argument(value=Text(value=column)),)),
            arguments=(Argument(value=rows),),
        ):
            return _to_cells(context, frame, column, rows, value)
        case Index(
            of=Name(name=frame),
            arguments=(Argument(value=rows), Argument(value=Text(value=column))),
        ):
            return _to_cells(context, frame, column, rows, value)
        case Index(
            of=Name(name=frame),
            arguments=(Argument(value=Binary(operator="==", left=Name(name=same), right=code)),),
        ) if same == frame:
            return _to_code(context, frame, code, value)
        case Call(function="names" | "colnames"):
            return _to_headings(context, target, None, value)
        case Index(
            of=Call(function="names" | "colnames") as headings,
            arguments=(Argument(value=Number(literal=number)),),
        ):
            return _to_headings(context, headings, int(float(number)) - 1, value)
        case _:
            raise Refused(f"an assignment to {short(target.source)!r} is not translated.")


def _to_names(context: Context, names: list[str], node: Node) -> list[str]:
    if isinstance(node, Function):
        raise Refused("a function.")
    if isinstance(node, Name) and node.name not in context.variables:
        made = fits.frame(context, node, "")
    else:
        made = context.value(node)
    if made.kind in NO_VALUE:
        raise Refused(f"{short(node.source)!r} has no value here.")
    if made.kind == "condition":
        raise Refused("a condition that is kept is not translated: use it where rows are chosen.")
    kept = [context.assign(name, made) for name in names]
    line = render(made.doc, before=" = ".join(kept) + " = ")
    return [] if line == f"{kept[0]} = {kept[0]}" else [line]


def _the_frame(context: Context, name: str) -> Value:
    if name not in context.variables:
        return external_table(context, name)
    frame = context.variable(name)
    if frame is None or frame.kind != "frame":
        raise Refused(f"{name} is no data frame here.")
    return frame


def _to_column(context: Context, name: str, column: str, node: Node) -> list[str]:
    frame = _the_frame(context, name)
    if node.source == "NULL":
        without = method(frame.atom, "drop", columns=literal(column))
        return _changed(context, frame, without)
    value = column_of(context, node)
    if value.kind not in ("column", "array", "number", "text", "series", "texts", "numbers"):
        raise Refused("what becomes this column is none that is known here.")
    doc = call("list", value.doc) if value.kind == "numbers" else value.doc
    return _changed(context, frame, assigned(frame.atom, [(column, doc)]))


def _changed(context: Context, frame: Value, doc: Doc) -> list[str]:
    """A new frame under the name of the old one, which may be that of another variable, too."""
    name = flat(frame.doc)
    context.change(name)
    return [render(doc, before=f"{name} = ")]


def _to_cells(context: Context, name: str, column: str, rows: Node | None, node: Node) -> list[str]:
    """``d$x[d$x == -9] <- NA``."""
    frame, value = _the_frame(context, name), context.value(node)
    if rows is None or value.kind not in ("number", "text"):
        raise Refused("an assignment to some cells of this kind is not translated.")
    where = condition(context, rows)
    if where.kind != "condition":
        raise Refused("an assignment to cells by number is not translated.")
    own = at(frame.atom, literal(column))
    changed = method(own, "mask", where.doc, value.doc)
    return _changed(context, frame, assigned(frame.atom, [(column, changed)]))


def _to_code(context: Context, name: str, code: Node, node: Node) -> list[str]:
    """``d[d == -99] <- NA``, in all columns."""
    frame, old, new = _the_frame(context, name), context.value(code), context.value(node)
    if {old.kind, new.kind} - {"number", "text"}:
        raise Refused("an assignment to some cells of this kind is not translated.")
    return _changed(context, frame, method(frame.atom, "replace", old.doc, new.doc))


def _to_headings(context: Context, headings: Call, place: int | None, node: Node) -> list[str]:
    target = headings.arguments[0].value if headings.arguments else None
    if not isinstance(target, Name):
        raise Refused("new names of this are not translated.")
    frame, value = _the_frame(context, target.name), context.value(node)
    if place is None:
        doc = method(frame.atom, "set_axis", value.doc, axis="1")
    else:
        old = f"{flat(frame.doc)}.columns[{place}]"
        pairs = Brackets("{", ((f"{old}: ", value.doc),), "}")
        doc = method(frame.atom, "rename", columns=pairs)
    return _changed(context, frame, doc)
