"""What a translation ends in: the Python program, and what a reader of it should know."""

from __future__ import annotations

import os
from dataclasses import dataclass

from mlsem.report.files import REPLACE_BY_CALL, check_output, write_whole


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

    Examples
    --------
    >>> import mlsem
    >>> ported = mlsem.port("x <- c(1, 2)  # two numbers")
    >>> print(ported.code.splitlines()[-1])
    x = [1, 2]  # two numbers
    >>> ported.untranslated
    0
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
        OutputError
            A kind of `MlsemError`: there is a file of this name, or the system refuses.

        Examples
        --------
        >>> import mlsem
        >>> import pathlib, tempfile
        >>> ported = mlsem.port("x <- 1")
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "script.py"
        >>> ported.save(path)
        >>> path.read_text("utf-8").splitlines()[-1]
        'x = 1'
        """
        name = os.fspath(path)
        check_output(name, overwrite=overwrite, argument="", replace=REPLACE_BY_CALL)
        write_whole(name, self.code, overwrite=overwrite, argument="", replace=REPLACE_BY_CALL)
