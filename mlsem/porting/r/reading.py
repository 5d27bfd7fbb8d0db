"""Tables: those that a script reads, and those that it has from elsewhere."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mlsem.porting.r.context import (
    MISSING,
    Bound,
    Context,
    external_table,
    name_of,
    r_function,
    written_table,
)
from mlsem.porting.r.layout import Brackets, call, literal, method
from mlsem.porting.r.nodes import Call, Text
from mlsem.porting.r.values import Refused, Value

if TYPE_CHECKING:
    from mlsem.porting.r.layout import Doc

CSV = "file header sep quote dec fill comment.char ..."


@r_function("read.csv", CSV)
def read_csv(context: Context, bound: Bound) -> Value:
    return _read(context, bound, sep=",")


@r_function("read.csv2", CSV)
def read_csv2(context: Context, bound: Bound) -> Value:
    return _read(context, bound, sep=";", decimal=",")


@r_function("read_csv read_csv2 read_tsv read_delim fread", "file delim ...")
def readr(context: Context, bound: Bound) -> Value:
    function = bound.call.function
    if function == "read_csv" and bound.by_name.get("delim") is not None:
        raise Refused("the names of columns are given by col_names=.")
    bound.drop("show_col_types", "col_types", "progress", "trim_ws")
    sep = {"read_csv2": ";", "read_tsv": "\t"}.get(function, ",")
    delimiter = bound.text("delim")
    decimal = "," if function == "read_csv2" else "."
    return _read(context, bound, sep=delimiter or sep, decimal=decimal)


@r_function("read.table", "file header sep quote dec fill row.names col.names ...")
def read_table(context: Context, bound: Bound) -> Value:
    return _read(context, bound, sep=None, header=False)


@r_function("read.delim", CSV)
def read_delim(context: Context, bound: Bound) -> Value:
    return _read(context, bound, sep="\t")


def _read(
    context: Context, bound: Bound, sep: str | None, decimal: str = ".", header: bool = True
) -> Value:
    node = bound.node("file")
    if isinstance(node, Call) and node.function == "file.choose":
        context.leave_out("file", node, "Write the name of the file.")
        node = Text('"data.csv"', "data.csv")
    path = None if node is None else context.value(node)
    if path is None or path.kind not in ("text", "any"):
        raise Refused("the file is not said.")
    sep = bound.text("sep") or sep
    decimal = bound.text("dec") or decimal
    has_header = bound.flag("header", header)
    bound.drop("stringsAsFactors", "strip.white", "quote", "fill", "comment.char", "fileEncoding")
    keywords: dict[str, Doc] = {}
    if sep is None or not sep.strip(" "):
        keywords["sep"] = 'r"\\s+"'
    elif sep != ",":
        keywords["sep"] = literal(sep)
    if decimal != ".":
        keywords["decimal"] = literal(decimal)
    columns = bound.value("col.names")
    if columns is not None:
        keywords |= {"names": columns.doc}
    if not has_header:
        keywords["header"] = "None"
    missing = bound.value("na.strings") or bound.value("na")
    keywords |= MISSING
    if missing is not None:
        keywords["na_values"] = missing.doc
    for name, theirs in (("skip", "skiprows"), ("nrows", "nrows"), ("n_max", "nrows")):
        value = bound.value(name)
        if value is not None:
            keywords[theirs] = value.doc
    doc = call(f"{context.pandas()}.read_csv", path.doc, **keywords)
    if not has_header and columns is None:
        doc = method(doc, "rename", columns='lambda k: f"V{k + 1}"')
    return Value(doc, "frame")


@r_function("read_sav read.spss read_spss read_dta read.dta read_stata", "file ...")
def read_other(context: Context, bound: Bound) -> Value:
    path = bound.needed("file")
    bound.drop("to.data.frame", "use.value.labels", "convert.factors", "encoding", "user_na")
    kind = "stata" if "dta" in bound.call.function or "stata" in bound.call.function else "spss"
    doc = call(f"{context.pandas()}.read_{kind}", path.doc, convert_categoricals="False")
    return Value(doc, "frame")


@r_function("read_excel read.xlsx read_xlsx", "path sheet ...")
def read_excel(context: Context, bound: Bound) -> Value:
    path = bound.needed("path")
    sheet = bound.value("sheet")
    keywords: dict[str, Doc] = {}
    if sheet is not None:
        number = isinstance(sheet.constant, float)
        keywords["sheet_name"] = f"{sheet.constant - 1:.0f}" if number else sheet.doc
    return Value(call(f"{context.pandas()}.read_excel", path.doc, **keywords), "frame")


@r_function("readRDS read_rds", "file ...")
def read_rds(context: Context, bound: Bound) -> Value:
    path = bound.needed("file")
    if not isinstance(path.constant, str):
        raise Refused("R's own files are not read here: in R, write.csv(data, …).")
    name = PurePosixPath(path.constant).stem or "data"
    return written_table(context, name, f"write.csv(readRDS({literal(path.constant)}), ")


@r_function("data", "... list package")
def data(context: Context, bound: Bound) -> Value:
    """``data(name)``: the name holds a table afterwards."""
    bound.drop("package", "envir")
    made = Value("None", "nothing")
    for _, node in bound.dots():
        name = name_of(node)
        if name is None:
            raise Refused("the data set is not said.")
        context.variables.pop(name, None)
        made = external_table(context, name)
    return Value(made.doc, "nothing")


@r_function("load")
def load(_: Context, __: Bound) -> Value:
    raise Refused(
        'R\'s own files are not read here: in R, write.csv(data, "data.csv", row.names = FALSE).'
    )


@r_function("write.csv write_csv write.csv2 write.table", "x file ...")
def write_csv(context: Context, bound: Bound) -> Value:
    table, path = bound.needed("x"), bound.needed("file")
    if table.kind not in ("frame", "estimates"):
        raise Refused("what is written is no data frame.")
    bound.drop("quote")
    if bound.call.function in ("write.csv2", "write.table"):
        raise Refused("use data.to_csv(file, sep=…, decimal=…, index=False).")
    index = bound.flag("row.names", bound.call.function == "write.csv")
    keywords: dict[str, Doc] = {} if index else {"index": "False"}
    return Value(method(table.atom, "to_csv", path.doc, **keywords), "nothing")


@r_function("file.path here")
def file_path(context: Context, bound: Bound) -> Value:
    parts = [context.value(node) for _, node in bound.dots()]
    if any(part.kind not in ("text", "any") for part in parts):
        raise Refused("this path is not translated.")
    if all(isinstance(part.constant, str) for part in parts):
        path = "/".join(str(part.constant) for part in parts)
        return Value(literal(path), "text", constant=path)
    return Value((literal("/"), ".join", Brackets("([", tuple(p.doc for p in parts), "])")), "text")
