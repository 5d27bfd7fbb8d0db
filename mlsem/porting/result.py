"""What a translation ends in: the Python program, and what a reader of it should know."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mlsem.errors import DataError

if TYPE_CHECKING:
    import os


@dataclass(frozen=True)
class Port:
    """A program of another package, translated; as text, its Python code.

    Attributes
    ----------
    code : str
        The Python program. What was not translated stands in its place as a comment.
    notes : tuple of str
        What is different, or was left out: one sentence each, in the order of the program.
    untranslated : int
        How many statements and options were not translated.
    """

    code: str
    notes: tuple[str, ...] = ()
    untranslated: int = 0

    def __str__(self) -> str:
        return self.code

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> None:
        """Write the program to a file, in UTF-8.

        Parameters
        ----------
        path : str or path
        overwrite : bool, default False
            Whether a file of this name may be replaced.

        Raises
        ------
        DataError
            There is a file of this name, or the system refuses.

        Examples
        --------
        >>> import mlsem, tempfile, pathlib
        >>> ported = mlsem.port("x <- 1")
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "script.py"
        >>> ported.save(path)
        >>> path.read_text("utf-8").splitlines()[-1]
        'x = 1'
        """
        try:
            with open(path, "w" if overwrite else "x", encoding="utf-8", newline="\n") as file:
                file.write(self.code)
        except FileExistsError:
            raise DataError(
                f"{str(Path(path))!r} is there already: overwrite=True replaces it."
            ) from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DataError(f"{str(Path(path))!r} cannot be written: {reason}.") from None
