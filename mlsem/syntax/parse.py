"""Model text → `ModelSyntax`. The only file that imports lark."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mlsem.base.caching import remember
from mlsem.errors import ModelSyntaxError, OptionValueError, Span
from mlsem.syntax.checks import check_model, shown_remarks
from mlsem.syntax.diagnose import diagnosis
from mlsem.syntax.items import Builder
from mlsem.syntax.layout import layout
from mlsem.syntax.model import Draft
from mlsem.syntax.nodes import ModelSyntax
from mlsem.syntax.not_text import not_a_text, path_message

if TYPE_CHECKING:
    from lark import Lark

    from mlsem.syntax.items import Header, Relation


def parse(text: str) -> ModelSyntax:
    """Read a model in lavaan's syntax.

    Parameters
    ----------
    text : str
        The model, one statement a line.

    Returns
    -------
    ModelSyntax
        The formulas by level, the definitions, the constraints, and remarks on what is legal
        but probably not meant. Every span is a place in `text`. The same text gives the same
        record.

    Raises
    ------
    ModelSyntaxError
        The text is not in the language, or uses a part of it that mlsem does not support.
    OptionValueError
        `text` is not a string.

    Examples
    --------
    >>> model = parse("level: 1\\n y ~ x\\nlevel: 2\\n y ~ 1 + w")
    >>> [formula.op for formula in model.blocks[1].formulas]
    ['~1', '~']
    """
    if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise OptionValueError(not_a_text(text))
    return _parse(text)


@remember
def _parse(text: str) -> ModelSyntax:
    if not text.strip():
        raise ModelSyntaxError("the model is empty: write a formula such as 'y ~ x'.")
    try:
        return _read(text)
    except ModelSyntaxError as error:
        if path_message(text):
            raise ModelSyntaxError(path_message(text), text, Span(0, len(text))) from None
        # Inside, errors know their place but not the text it is a place in.
        raise ModelSyntaxError(error.message, text, error.span) from None


def _read(text: str) -> ModelSyntax:
    clean = layout(text)
    draft = Draft(text, clean)
    draft.read(statements(text, clean))
    blocks = draft.blocks()
    definitions, constraints = tuple(draft.definitions), tuple(draft.constraints)
    remarks = shown_remarks(draft.remarks + check_model(blocks, definitions, constraints), text)
    return ModelSyntax(text, blocks, definitions, constraints, remarks, draft.groups())


def statements(text: str, clean: str) -> list[Relation | Header]:
    """What the grammar reads in `clean`, which `layout` made of `text`; terms have no meaning yet.

    Raises
    ------
    ModelSyntaxError
        Without the text: whoever knows it adds it.
    """
    from lark.exceptions import UnexpectedInput

    if not clean.strip():
        raise ModelSyntaxError("the model has only comments.", None, Span(0, 1))
    try:
        return cast("list[Relation | Header]", _parser().parse(clean))
    except UnexpectedInput as error:
        place: Any = error
        # An unknown character names what is allowed, an unknown word what was expected.
        words: Any = getattr(place, "expected", None) or getattr(place, "allowed", None) or ()
        expected = {str(word) for word in words}
        raise diagnosis(text, clean, place.pos_in_stream, expected) from None


@lru_cache(maxsize=1)
def _parser() -> Lark:
    from lark import Lark

    return Lark(
        _grammar_path().read_text(encoding="utf-8"),
        parser="lalr",
        lexer="contextual",
        transformer=cast("Any", Builder()),
        maybe_placeholders=False,
    )


def _grammar_path() -> Path:
    """In the wheel the grammar lies in the package, in a checkout beside it."""
    package = Path(__file__).resolve().parents[1]
    packed = package / "grammar" / "lavaan.lark"
    return packed if packed.is_file() else package.parent / "grammar" / "lavaan.lark"
