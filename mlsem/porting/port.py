"""`port`: a program of another package as Python."""

from __future__ import annotations

from mlsem.errors import OptionValueError, nearest
from mlsem.porting.result import Port

KINDS = ("R", "mplus")


def port(text: str, kind: str = "R", *, table: str | None = None) -> Port:
    """Translate an R script or an Mplus input to a Python program.

    The text is parsed, never run. What has no translation stays as a comment in its place, with a
    reason, and what needs it does too.

    Parameters
    ----------
    text : str
        The program. R: of lavaan (`sem`, `cfa`, `growth`, `lavaan` and what is asked of fits), lme4
        (`lmer`), clubSandwich (`vcovCR`, `coef_test`, `conf_int`, `Wald_test`), and what such
        scripts do with data frames, in base R or dplyr. Mplus: an input with its sections.
    kind : {"R", "mplus"}, default "R"
    table : str, optional
        Of an R script: the file of the table that it has from elsewhere, as from a package or by
        ``readRDS``. Default: a .csv file of the name that the table has there.

    Returns
    -------
    Port
        Prints its code; `Port.save` writes it to a file.

    Raises
    ------
    OptionValueError
        `text` is no text, or there is no such kind.
    ModelSyntaxError
        It is not a text of the language.
    InterfaceError
        For R: tree-sitter is not installed, which the message says how to.

    Examples
    --------
    >>> import mlsem
    >>> ported = mlsem.port('''
    ... fit <- sem("y ~ x1", data = Demo.twolevel, meanstructure = TRUE)
    ... summary(fit, fit.measures = TRUE)
    ... ''')
    >>> print(ported.code)
    # Translated from R: 2 statements.
    <BLANKLINE>
    import mlsem
    <BLANKLINE>
    Demo_twolevel = mlsem.load_example("demo_twolevel")
    fit = mlsem.sem("y ~ x1", Demo_twolevel, meanstructure=True)
    print(fit.summary(fit_measures=True))
    <BLANKLINE>
    """
    if not isinstance(text, str):
        raise OptionValueError(
            f"text is a {type(text).__name__}: it takes the text of a program, "
            'pathlib.Path("script.R").read_text("utf-8").'
        )
    kinds = {each.lower(): each for each in KINDS}
    if not isinstance(kind, str) or kind.lower() not in kinds:
        raise OptionValueError(
            f'kind={kind!r}: it takes "R" or "mplus".{nearest(str(kind), KINDS)}'
        )
    if kinds[kind.lower()] == "R":
        from mlsem.porting.r.program import port_r

        return port_r(text, table=table)
    from mlsem.porting.mplus import translate

    return translate(text)
