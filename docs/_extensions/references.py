"""What stands in tests/reference, counted.

Descriptions are those of tests/reference/README.md; the tests are those that name the file.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).parents[2] / "tests"


@dataclass(frozen=True)
class Reference:
    """One file of reference values."""

    file: str
    what: str
    cases: int
    numbers: int
    tests: tuple[str, ...]


def references() -> list[Reference]:
    """Every JSON file of tests/reference, with its description and the tests that name it."""
    folder = TESTS / "reference"
    described = _descriptions((folder / "README.md").read_text("utf-8"))
    files = sorted(folder.rglob("*.json"), key=lambda path: path.relative_to(folder).as_posix())
    return [
        _reference(path, path.relative_to(folder).as_posix(), described)
        for path in files
        if "data" not in path.relative_to(folder).parts
    ]


def _reference(path: Path, name: str, described: dict[str, str]) -> Reference:
    content = json.loads(path.read_text("utf-8"))
    return Reference(
        name, described.get(name, ""), _cases(content), sum(1 for _ in _numbers(content)),
        tuple(_tests_that_name(path.name)),
    )  # fmt: skip


def _descriptions(readme: str) -> dict[str, str]:
    rows = re.findall(r"^\| `([^`\s]+\.json)` \| (.+?) \|$", readme, re.M)
    found: dict[str, str] = {}
    for name, what in rows:
        found.setdefault(name, what.replace("`", ""))
    return found


def _cases(content: Any) -> int:
    """Entries of the collections at the file's top that hold its cases."""
    named = [each for name, each in content.items() if name.startswith(("cases", "models"))]
    collections = named or [each for name, each in content.items() if name != "meta"]
    return sum(len(each) for each in collections if isinstance(each, dict | list))


def _numbers(content: Any) -> Iterator[float]:
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        for each in content:
            yield from _numbers(each)
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield content


def _tests_that_name(file: str) -> Iterator[str]:
    """Tests that have the file's name as a string, or import a helper that has it."""
    literal = f'"{file}"'
    helpers = [
        path.stem for path in (TESTS / "support").glob("*.py") if literal in path.read_text("utf-8")
    ]
    imported = re.compile(rf"^(from|import) ({'|'.join(helpers)})\b", re.M) if helpers else None
    for path in sorted(TESTS.rglob("test_*.py")):
        text = path.read_text("utf-8")
        if literal in text or (imported and imported.search(text)):
            yield path.relative_to(TESTS.parent).as_posix()
