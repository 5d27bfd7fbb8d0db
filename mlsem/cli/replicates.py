"""`--replicates`: a method of replicate weights with its columns, as text."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlsem.data.table.replicates import Replicates

FORM = "fay=W_FSTURWT{}, fay:0.3=..., brr=..., jk1=..., jk2=ZONE,HALF or jk2:both=ZONE,HALF"


def read_replicates(text: str) -> Replicates:
    """`fay:0.5=W_FSTURWT{}`, `jk2:both=JKZONE,JKREP`, `jk2=SRWT{}`.

    Raises
    ------
    ArgumentTypeError
        It is none of these.
    """
    import mlsem
    from mlsem.errors import OptionValueError

    head, equals, columns = text.partition("=")
    method, _, detail = head.strip().lower().partition(":")
    if not (equals and columns.strip()) or method not in ("fay", "brr", "jk1", "jk2"):
        raise ArgumentTypeError(f"{text!r} is not of the form {FORM}")
    names = [name.strip() for name in columns.split(",")]
    given = names[0] if len(names) == 1 else names
    try:
        if method == "fay":
            return mlsem.Fay(given, k=float(detail or 0.5))
        if method == "jk2" and detail in ("", "both"):
            both = detail == "both"
            if len(names) == 2:
                return mlsem.JK2(zone=names[0], rep=names[1], both=both)
            return mlsem.JK2(given, both=both)
        if not detail:
            return mlsem.BRR(given) if method == "brr" else mlsem.JK1(given)
    except (OptionValueError, ValueError) as error:
        raise ArgumentTypeError(f"{text!r}: {error}") from None
    raise ArgumentTypeError(f"{text!r} is not of the form {FORM}")
