"""What a translation knows while it goes through a script, and the table of R's functions."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from mlsem.errors import listed
from mlsem.other_programs.options import keyword_advice
from mlsem.porting.r.layout import at, call, comment, flat, literal, render
from mlsem.porting.r.names import Names
from mlsem.porting.r.nodes import Call, Constant, Name, Node, Text
from mlsem.porting.r.values import FitInfo, Refused, Unavailable, Value, estimates_column

if TYPE_CHECKING:
    from mlsem.porting.r.layout import Doc

Translation: TypeAlias = "Callable[[Context, Bound], Value]"


@dataclass(frozen=True, slots=True)
class Entry:
    """An R function: its formal arguments, what translates a call, and whether a call is
    translated without arguments that are not known here, which the reader is then told."""

    formals: tuple[str, ...]
    translate: Translation
    lenient: bool


FUNCTIONS: dict[str, Entry] = {}


def r_function(
    names: str, formals: str = "...", *, lenient: bool = False
) -> Callable[[Translation], Translation]:
    """Enter a translation under R's names of the functions, with their arguments in order."""

    def enter(translate: Translation) -> Translation:
        for name in names.split():
            FUNCTIONS[name] = Entry(tuple(formals.split()), translate, lenient)
        return translate

    return enter


# --- arguments ----------------------------------------------------------------------------------


class Bound:
    """The arguments of a call by R's rules: whole names, beginnings of names, then by position.

    What a translation does not take by `node`, `value` and their kin is told to the reader.
    """

    def __init__(self, context: Context, call: Call, formals: tuple[str, ...]) -> None:
        self.context, self.call = context, call
        self.by_name: dict[str, Node] = {}
        self.rest: list[tuple[str | None, Node]] = []
        before = formals[: formals.index("...")] if "..." in formals else formals
        unnamed: list[Node] = []
        for argument in call.arguments:
            if argument.value is None:
                continue
            if argument.name is None:
                unnamed.append(argument.value)
                continue
            formal = self._formal(argument.name, formals, before)
            if formal is None:
                self.rest.append((argument.name, argument.value))
            else:
                self.by_name[formal] = argument.value
        free = (name for name in before if name not in self.by_name)
        for node in unnamed:
            formal = next(free, None)
            if formal is None:
                self.rest.append((None, node))
            else:
                self.by_name[formal] = node

    def _formal(self, name: str, formals: tuple[str, ...], before: tuple[str, ...]) -> str | None:
        if name in formals:
            return name
        begun = [each for each in before if each.startswith(name)]
        return begun[0] if len(begun) == 1 and begun[0] not in self.by_name else None

    def node(self, name: str) -> Node | None:
        """The argument, which is taken; None where it is missing or NULL."""
        node = self.by_name.pop(name, None)
        if node is None:
            for k, (said, other) in enumerate(self.rest):
                if said == name:
                    node = other
                    del self.rest[k]
                    break
        return None if isinstance(node, Constant) and node.name == "NULL" else node

    def need(self, name: str) -> Node:
        node = self.node(name)
        if node is None:
            raise Refused(f"{self.call.function}() has no argument {name!r} here.")
        return node

    def value(self, name: str) -> Value | None:
        node = self.node(name)
        return None if node is None else self.context.value(node)

    def needed(self, name: str) -> Value:
        return self.context.value(self.need(name))

    def needed_table(self, name: str) -> Value:
        """A name that the script has not made is that of a table from elsewhere."""
        return table_or_value(self.context, self.need(name))

    def flag(self, name: str, default: bool) -> bool:
        """TRUE or FALSE, as the script writes it."""
        value = self.value(name)
        if value is None:
            return default
        if not isinstance(value.constant, bool):
            raise Refused(f"{name} is not written as TRUE or FALSE here.")
        return value.constant

    def text(self, name: str) -> str | None:
        """A text that the script says."""
        value = self.value(name)
        if value is None:
            return None
        if not isinstance(value.constant, str):
            raise Refused(f"{name} is not written as a text here.")
        return value.constant

    def drop(self, *names: str) -> None:
        """Arguments that say nothing here."""
        for name in names:
            self.node(name)

    def others(self) -> list[tuple[str | None, Node]]:
        """All that is left, which is taken."""
        left = [*self.by_name.items(), *self.rest]
        self.by_name, self.rest = {}, []
        return left

    def dots(self) -> list[tuple[str | None, Node]]:
        """What is in the place of ``...``, which is taken."""
        dots, self.rest = self.rest, []
        return dots

    def finish(self, lenient: bool) -> None:
        """Refuse what is left, or tell the reader of it."""
        for name, node in self.others():
            if isinstance(node, Constant) and node.name == "NULL":
                continue
            if name is None:
                raise Refused(f"{self.call.function}() has an argument too many here.")
            if not lenient:
                given = f"{name} = {short(node.source)}"
                raise Refused(f"{given} of {self.call.function}() is not translated.")
            self.context.leave_out(name, node)


# --- the script so far --------------------------------------------------------------------------


@dataclass
class Mask:
    """A data frame whose columns are meant by plain names, as inside of ``mutate(…)``."""

    frame: Doc
    grouping: tuple[str, ...] = ()
    estimates: bool = False


@dataclass
class Context:
    """Variables, and what is said of the statement at hand.

    Attributes
    ----------
    evaluate : callable
        The translation of an expression.
    table : str, optional
        The file of a table that the script does not read in a way that there is here.
    shown : Node, optional
        What the statement shows, where that is all that it does.
    """

    evaluate: Callable[[Context, Node], Value]
    table: str | None = None
    names: Names = field(default_factory=Names)
    variables: dict[str, Value | Unavailable] = field(default_factory=dict)
    assigned: dict[str, int] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)
    masks: list[Mask] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    before: list[str] = field(default_factory=list)
    left: int = 0
    shown: Node | None = None

    def value(self, node: Node) -> Value:
        return self.evaluate(self, node)

    # what the reader is told of the statement

    def remark(self, sentence: str) -> None:
        if sentence not in self.remarks:
            self.remarks.append(sentence)

    def leave_out(self, name: str, node: Node, advice: str = "") -> None:
        """An argument has no counterpart."""
        advice = advice or keyword_advice(name, node.value if isinstance(node, Text) else None)
        said = f"Not translated: {name} = {short(node.source)}. {advice}".strip()
        if said not in self.remarks:
            self.remarks.append(said)
            self.left += 1

    def pandas(self) -> str:
        self.imports.add("import pandas as pd")
        return "pd"

    def numpy(self) -> str:
        self.imports.add("import numpy as np")
        return "np"

    # variables

    def variable(self, name: str) -> Value | None:
        """What the script has called so before, if anything."""
        known = self.variables.get(name)
        if isinstance(known, Unavailable):
            raise Refused(f"it needs {name}, which was not translated.")
        return known

    def assign(self, name: str, value: Value) -> str:
        """The Python name under which R's is kept from now on."""
        made = self.names.python(name)
        self.variables[name] = value.called(made)
        self.change(made)
        return made

    def change(self, python: str) -> None:
        """A variable has another value from now on."""
        self.assigned[python] = self.assigned.get(python, 0) + 1

    def seen(self, *docs: Doc) -> dict[str, int]:
        """The variables in these, and how often they have been assigned."""
        words = {word for doc in docs for word in re.findall(r"\w+", flat(doc))}
        return {name: count for name, count in self.assigned.items() if name in words}

    def require_unchanged(self, info: FitInfo) -> None:
        """What a call of long ago said is said again only if it still means the same."""
        changed = [name for name, count in info.seen.items() if self.assigned[name] != count]
        if changed:
            raise Refused(
                f"{listed(changed)} has changed since the fit: keep what the fit had under a name "
                "of its own."
            )

    def lose(self, name: str) -> None:
        self.variables[name] = Unavailable(name)

    def hoist(self, name: str, value: Value) -> Value:
        """The value under a name, in a statement before this one, unless it has one already."""
        if value.is_name:
            return value
        made = self.names.fresh(name)
        self.before.append(render(value.doc, before=f"{made} = "))
        return value.called(made)

    # columns

    def column(self, name: str) -> Value | None:
        """The column of the data frame whose columns plain names mean, if there is one."""
        if not self.masks:
            return None
        mask = self.masks[-1]
        if mask.estimates:
            shown = literal(estimates_column(name))
            return Value(at(mask.frame, shown), "column", info="estimates")
        return Value(at(mask.frame, literal(name)), "column", info=name)


# --- tables from elsewhere ----------------------------------------------------------------------

MISSING: dict[str, Doc] = {"na_values": '["NA", ""]', "keep_default_na": "False"}
"""R's marks of missing values; pandas takes texts like "None" for missing, too."""
EXAMPLES = {"Demo.twolevel": "demo_twolevel"}
"""Data sets of R's packages that are among the examples here."""


def table_or_value(context: Context, node: Node) -> Value:
    """A value; a name that the script has not made is that of a table from elsewhere."""
    if isinstance(node, Name) and not context.masks and node.name not in context.variables:
        return external_table(context, node.name)
    return context.value(node)


def external_table(context: Context, name: str) -> Value:
    """A table that the script does not make, read before the statement that uses it."""
    if context.masks or name in FUNCTIONS:
        raise Refused(f"the script does not say before what {name} is.")
    if name in EXAMPLES:
        value = Value(call("mlsem.load_example", literal(EXAMPLES[name])), "frame")
    else:
        value = written_table(context, name, f"write.csv({name}, ")
    made = context.assign(name, value)
    context.before.append(render(value.doc, before=f"{made} = "))
    known = context.variables[name]
    assert isinstance(known, Value)
    return known


def written_table(context: Context, name: str, in_r: str) -> Value:
    """A table that R must write first; `in_r` begins the call that does."""
    file = context.table
    if file is None:
        file = re.sub(r"[^-.\w]", "_", name) + ".csv"
        context.before += comment("Write the table from R first:")
        context.before += comment(f"{in_r}{literal(file)}, row.names = FALSE)", "#   ")
    return Value(call(f"{context.pandas()}.read_csv", literal(file), **MISSING), "frame")


def short(source: str, width: int = 60) -> str:
    """R in one line, for a sentence."""
    line = " ".join(source.split())
    return line if len(line) <= width else line[: width - 1] + "…"


def name_of(node: Node | None) -> str | None:
    """A name or a text that stands for a column's name."""
    match node:
        case Name(name=name):
            return name
        case Text(value=value):
            return value
        case _:
            return None
