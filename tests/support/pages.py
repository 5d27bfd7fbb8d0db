"""Pages of Markdown, run as a reader would: block after block, in one namespace and one folder.

    python tests/support/pages.py README.md docs/start.md

writes anew what the pages say that their blocks print.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import shlex
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FENCE = re.compile(
    r"^(?P<ticks>`{3,}|:{3,})(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=ticks)[ ]*$", re.M | re.S
)
CELL = ("{code-cell}", "{code-block}")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, text, the lines between this one and the one before."""

    language: str
    text: str
    line: int
    span: tuple[int, int]
    between: str

    @property
    def code(self) -> str:
        """Without the options of a notebook's cell."""
        if self.language != "{code-cell}":
            return self.text
        return re.sub(r"\A(---\n.*?^---\n|(:[a-z-]+:[^\n]*\n)+)", "", self.text, flags=re.M | re.S)

    @property
    def raises(self) -> bool:
        return self.language == "{code-cell}" and "raises-exception" in self.text


def pages() -> list[Path]:
    """README and every page of the site."""
    built = ROOT / "docs" / "_build"
    found = sorted((ROOT / "docs").rglob("*.md"))
    return [ROOT / "README.md", *(page for page in found if built not in page.parents)]


def blocks(text: str) -> list[Block]:
    """Fenced blocks in order; a directive that holds others (a tab, a card) is looked into."""
    return list(_blocks(text, 0, text))


def _blocks(text: str, start: int, whole: str) -> Iterator[Block]:
    end = start
    for found in FENCE.finditer(text):
        language = found["info"].split()[0] if found["info"].strip() else ""
        begin = start + found.start("text")
        if language.startswith("{") and language not in CELL:
            yield from _blocks(found["text"], begin, whole)
        else:
            span = (begin, start + found.end("text"))
            between = whole[end : start + found.start()]
            yield Block(language, found["text"], whole.count("\n", 0, begin), span, between)
        end = start + found.end()


@dataclass
class Reader:
    """What a reader has before him: names, a folder, and what was printed last."""

    name: str
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})

    def run(self, block: Block) -> str:
        """What the block prints, with the value of its last line."""
        if block.language in ("python", "{code-cell}"):
            return self._python(block)
        return self._shell(block) if block.language == "sh" else ""

    def _python(self, block: Block) -> str:
        place = self._place(block)
        tree = ast.parse(block.code, place)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            try:
                exec(compile(tree, place, "exec"), self.names)
                if last is not None:
                    value = compile(ast.Expression(last.value), place, "eval")
                    self._show(eval(value, self.names))
            except Exception as error:
                if not block.raises:
                    raise
                print(f"{type(error).__name__}: {error}")
            else:
                assert not block.raises, f"{place} should raise an exception"
        return printed.getvalue()

    def _show(self, value: object) -> None:
        """As a notebook does: its forms for a browser are made, its text is printed."""
        for form in ("_repr_html_", "_repr_svg_", "_repr_png_", "_repr_mimebundle_"):
            if hasattr(value, form):
                getattr(value, form)()
        if value is not None:
            print(repr(value))

    def _shell(self, block: Block) -> str:
        """Every command `mlsem …` of the block; what else stands there is for the reader."""
        from mlsem.cli.main import main

        printed = io.StringIO()
        for line in re.sub(r"\\\n\s*", " ", block.text).splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ["mlsem"]:
                with (
                    contextlib.redirect_stdout(printed),
                    contextlib.redirect_stderr(io.StringIO()) as told,
                ):
                    code = _exit_code(main, words[1:])
                assert code == 0, (
                    f"{self._place(block)}: {line}\nexit code {code}: {told.getvalue()}"
                )
        return printed.getvalue()

    def _place(self, block: Block) -> str:
        return f"{self.name}, block at line {block.line}"


def _exit_code(main: Any, words: list[str]) -> int:
    try:
        return main(words) or 0
    except SystemExit as end:
        return int(end.code or 0)


@contextlib.contextmanager
def folder(path: Path) -> Iterator[None]:
    """Work in a folder that has the files of examples/."""
    for file in (ROOT / "examples").iterdir():
        if file.suffix in (".csv", ".lav"):
            shutil.copyfile(file, path / file.name)
    before = Path.cwd()
    os.chdir(path)
    try:
        with warnings.catch_warnings():
            _let_ours_pass()
            yield
    finally:
        os.chdir(before)


def _let_ours_pass() -> None:
    """A page may show what mlsem warns of; other packages' warnings stay errors."""
    import mlsem

    warnings.simplefilter("ignore", mlsem.MlsemWarning)


def reader_of(page: Path) -> Reader:
    return Reader(page.relative_to(ROOT).as_posix())


def outputs(page: Path, reader: Reader) -> Iterator[tuple[Block, str, Block | None]]:
    """Each block that is run, what it printed, and the block that says so, if one follows it."""
    found = blocks(page.read_text("utf-8"))
    for block, following in zip(found, [*found[1:], None], strict=False):
        if block.language not in ("python", "{code-cell}", "sh"):
            continue
        says = (
            following is not None and following.language == "text" and not following.between.strip()
        )
        yield block, reader.run(block), following if says else None


def agrees(said: str, printed: str) -> bool:
    """The same text; `…` stands for anything, and searches may take more or fewer steps."""
    pattern = ".*".join(map(re.escape, _settled(said).split("…")))
    return re.fullmatch(pattern, _settled(printed), re.S) is not None


def _settled(text: str) -> str:
    """Without the number of iterations, which hangs on the machine's linear algebra."""
    lines = (line.rstrip() for line in text.strip("\n").splitlines())
    return re.sub(r"after \d+ iterations?", "after some iterations", "\n".join(lines)).rstrip()


def rewrite(page: Path) -> None:
    """Let the page say what its blocks print now, where it says something else."""
    text = page.read_text("utf-8")
    with tempfile.TemporaryDirectory() as path, folder(Path(path)):
        found = [(said.span, printed) for _, printed, said in outputs(page, reader_of(page))
                 if said is not None and not agrees(said.text, printed)]  # fmt: skip
    for (begin, end), printed in reversed(found):
        text = text[:begin] + printed.strip("\n") + "\n" + text[end:]
    page.write_text(text, "utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    for name in sys.argv[1:]:
        rewrite(Path(name).resolve())
