"""`port` as its users meet it: what is refused and how, hostile texts, the command."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mlsem
from mlsem.cli.main import FAILED, OK, main
from mlsem.porting.r import read

SCRIPTS = sorted((Path(__file__).parent / "scripts").glob("*.R"))
D = 'd <- read.csv("d.csv")\n'


def _code(text: str) -> str:
    code = mlsem.port(text).code
    ast.parse(code)
    return code


def _program(text: str) -> str:
    """The program without its header and imports."""
    code = _code(text)
    return code.split("\n\n", 2)[2] if code.count("\n\n") > 1 else ""


# --- what is not translated ---------------------------------------------------------------------

FIT = D + 'fit <- cfa("f =~ y1 + y2 + y3", data = d, {})\nsummary(fit)\n'


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ('estimator = "WLSMV"', "ordered variables"),
        ('estimator = "GLS"', "least-squares"),
        ("estimator = chosen()", "chosen() has no translation"),
        ('se = "robust"', "no such value"),
        ('se = "robust.sem"', '"MLR"'),
        ('ordered = c("y1", "y2")', "Ordered variables are not fitted"),
        ('sampling.weights.normalization = "total"', "How weights of rows are scaled"),
        ("sample.cov = S, sample.nobs = 100", "not to covariance matrices"),
        ('missing = "two.stage"', '"fiml"'),
        ('information = "first.order"', "expected"),
        ('likelihood = "wishart"', "normal likelihood"),
        ("std.ov = TRUE", "Standardise the columns"),
        ("effect.coding = TRUE", "constraints"),
    ],
)
def test_what_would_change_the_estimates_refuses_the_fit(option: str, said: str) -> None:
    ported = mlsem.port(FIT.format(option))
    assert "mlsem.cfa" not in ported.code
    assert "# Not translated: it needs fit, which was not translated." in ported.code
    assert f"#   {FIT.format(option).splitlines()[1]}" in ported.code
    assert any(said in note for note in ported.notes), ported.notes
    assert ported.untranslated == 2


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("verbose = TRUE", "Nothing is printed while fitting"),
        ('test = "Satorra.Bentler"', "mlsem.lr_test"),
        ('se = "bootstrap", bootstrap = 500', "draws=500"),
        ('mimic = "Mplus"', "lavaan's"),
        ("control = list(iter.max = 1000)", "max_iter"),
        ('my.option = "x"', "my.option"),
    ],
)
def test_what_leaves_the_estimates_alone_is_told(option: str, said: str) -> None:
    ported = mlsem.port(FIT.format(option))
    assert 'fit = mlsem.cfa("f =~ y1 + y2 + y3", d)' in ported.code
    assert "print(fit.summary())" in ported.code
    (note,) = ported.notes
    assert note.startswith("Not translated: ")
    assert said in note
    assert ported.untranslated == 1


@pytest.mark.parametrize(
    "option",
    [
        'estimator = "ml"',
        'likelihood = "normal"',
        'mimic = "lavaan"',
        "ordered = FALSE",
        "group = NULL",
        "do.fit = TRUE",
        "verbose = FALSE",
    ],
)
def test_defaults_say_nothing(option: str) -> None:
    ported = mlsem.port(FIT.format(option))
    assert ported.untranslated == 0
    assert "mlsem.cfa" in ported.code


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("m <- lmer(y ~ x + (1 | a) + (1 | b) + (1 | c), data = d)", "one nested in another"),
        ("m <- lmer(y ~ x + (1 | a:b), data = d)", "one nested in another"),
        ("m <- lmer(y ~ x + (1 | a), data = d, weights = w)", "weights"),
        ("m <- lmer(y ~ x + (1 | a), data = d, subset = x > 0)", "Choose the rows first"),
        ("m <- lm(y ~ x, data = d)", "mlsem.fit"),
        ("m <- glmer(y ~ x + (1 | a), data = d)", "Only normal outcomes have random effects"),
        ("m <- sem(model = NULL, data = d)", "model"),
        ('m <- sem("y ~ x")', "no data frame"),
        ("m <- frobnicate(d)", "frobnicate() has no translation"),
        ("m <- unknown + 1", "does not say before what unknown is"),
        ("for (i in 1:3) m <- i", "a loop"),
        ("if (a) m <- 1 else m <- 2", "a condition"),
        ("m <- function(x) x + 1", "a function"),
        ("ggplot(d, aes(x, y)) + geom_point() -> m", "matplotlib"),
        ('m <- load("x.RData")', "write.csv"),
        ("m <- cor.test(d$x, d$y)", "cor.test()"),
        ("m <- d@slot", "slot"),
        ("m <- mean(d$x, trim = 0.1)", "trim = 0.1 of mean()"),
        ("m <- sum(is.na(d))", "by column"),
        ("m <- d[, -1]", "left out by number"),
        ("m <- d[order(d$x + d$y), ]", "sort_values"),
    ],
)
def test_the_reason_stands_with_the_statement(statement: str, said: str) -> None:
    ported = mlsem.port(D + statement + "\nm\n")
    assert f"#   {statement}" in ported.code
    assert said in ported.notes[0]
    assert ported.notes[1] == "Not translated: it needs m, which was not translated."


@pytest.mark.parametrize(
    "change",
    [
        "suppressMessages({\n  library(x)\n  d <- 5\n})",
        "suppressWarnings(d <- 5)",
        "for (k in 1:3) d$x <- k",
        "if (TRUE) d[1, 2] <- 5",
        "if (TRUE) {\n  d = NULL\n}",
        "while (a) { b -> d }",
        "d$x <- frobnicate(d$y)",
        "d[, z := x + 1]",
        "setDT(d)",
        "names(d) <- frobnicate()",
        'assign("d", 3)',
    ],
)
def test_what_may_have_changed_unseen_is_not_used(change: str) -> None:
    code = _code(f"{D}{change}\nsummary(d)\n")
    assert "# Not translated: it needs d, which was not translated." in code
    assert "describe" not in code


FITTED = D + 'fit <- cfa("f =~ a + b + c", d)\nm <- lmer(a ~ b + (1 | g), d)\n'


@pytest.mark.parametrize(
    "change", ["d <- d[1:5, ]", "d$x <- 1", "d[d == 9] <- NA", "names(d) <- n"]
)
@pytest.mark.parametrize(
    "asked", ["lavPredict(fit)", "fitted(m)", "resid(m)", "update(m, REML = F)"]
)
def test_the_data_of_a_fit_are_those_that_it_had(change: str, asked: str) -> None:
    assert "has changed" not in _code(f"{FITTED}{asked}\n")
    assert "'d' has changed since the fit" in _code(f"n <- 'x'\n{FITTED}{change}\n{asked}\n")


def test_a_function_of_the_scripts_own_is_not_rs() -> None:
    code = _code(f"{D}mean <- function(x) 3\nm <- mean(d$x)\n")
    assert "m = " not in code


# --- what is meant ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "python"),
    [
        ("a <- -2^2", "a = -2**2"),
        ("a <- (1 + 2) * 3 %% 2", "a = (1 + 2) * (3 % 2)"),
        ("a <- b <- 1L", "a = b = 1"),
        ("a <- suppressWarnings(mean(d$x))", 'a = d["x"].mean()'),
        ("1 -> my.value", "my_value = 1"),
        ("print <- 1", "print_ = 1"),
        ("lambda <- .5", "lambda_ = 0.5"),
        (r"s <- 'say \'so\''", "s = \"say 'so'\""),
        (r"s <- r'(a\b)'", r's = "a\\b"'),
        (r"s <- '\u00e9\x41'", 's = "éA"'),
        ("s <- paste('a', 'b', sep = '-')", 's = "a-b"'),
        ("v <- paste0('y', 1:3)", 'v = [f"y{i}" for i in range(1, 4)]'),
        ("m <- mean(d$x)", 'm = d["x"].mean()'),
        ("e <- d[d$x != 1, ]", 'e = d[d["x"].notna() & (d["x"] != 1)]'),
        ("e <- d[2:5, c('x', 'y')]", 'e = d.iloc[1:5][["x", "y"]]'),
        ("d$z <- NULL", 'd = d.drop(columns="z")'),
        ("e <- d |> head(n = 3)", "e = d.head(3)"),
        ("r <- rep('a', 1e1)", 'r = ["a"] * 10'),
        ("e <- subset(d, select = y1:y3)", 'e = d[["y1", "y2", "y3"]]'),
    ],
)  # fmt: skip
def test_r_is_read_as_r_reads_it(statement: str, python: str) -> None:
    assert _program(D + statement).splitlines()[-1] == python


def test_names_stay_apart() -> None:
    program = _program("my.x <- 1\nmy_x <- 2\nframe <- 3\n`a b` <- my.x + my_x\n")
    assert program == "my_x = 1\nmy_x_2 = 2\nframe_2 = 3\na_b = my_x + my_x_2\n"


def test_an_element_is_not_a_variable_of_the_script() -> None:
    assert 'p = [f"x{i}{j}" for j in range(1, 4)]' in _code('i <- 3\np <- paste0("x", i, 1:3)')


def test_groups_are_numbered_as_they_appear() -> None:
    code = _code(f'{D}fit <- cfa("f =~ a + b + c", subset(d, x > 1), group = "g")')
    assert 'group_label=list(data["g"].dropna().unique())' in code
    assert 'data = d[d["x"] > 1]' in code


def test_a_table_from_elsewhere_is_read_once() -> None:
    code = _code("library(lavaan)\nhead(HS)\nfit <- sem('x1 ~ x2', data = HS)\n")
    assert (
        code.count('HS = pd.read_csv("HS.csv", na_values=["NA", ""], keep_default_na=False)') == 1
    )
    assert 'write.csv(HS, "HS.csv", row.names = FALSE)' in code
    assert 'HS = pd.read_csv("my file.csv", ' in mlsem.port("head(HS)", table="my file.csv").code


def test_comments_stay_in_their_place() -> None:
    program = _program("# first\n\nx <- 1  # behind\n#' doc\ny <- 2\n")
    assert program == "# first\n\nx = 1  # behind\n# doc\ny = 2\n"


# --- hostile texts ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   \n\t\n",
        "fit <- sem('y ~ x",
        'x <- c(1, "a',
        "x <- (((((",
        ")))) }} ]]",
        "x <- 1 +",
        "# a comment\rimport os\x0bos.abort()\x0cx\u2028y\x85z",
        "x <- 'a\rb'; y <- \"\\u2028\"",
        "`import os` <- 1; `__import__('os')` <- 2",
        "x <- '\"\"\"\\\\'; y <- 'a\nb\"'; z <- '\"\"\"\n\"\"\"'",
        "s <- paste0(x <- 'a', \"{__import__('os')}\", 1:2)",
        "y <- 1; s <- paste0(\"{y!r}\\n\", y, '\"\"\"')",
        "d$`a\"]; import os; d[\"` <- 3",
        "d[['\\n']] <- 1\nd$x\n",
        "\ufeffx <- 1\r\ny <- 2\r\n",
        "x <- 1e999; y <- 0x1F; z <- 1e5L; w <- 100000L",
        "\ud800 <- 1",
        "?help; ??x; x %foo% y; -x; !x; ~x; x::y; x:::z(); f()(1); (\\(x) x)(2)",
        "x[[1]][[2]]$a$b[1, , drop = FALSE] <- y",
        "if (!require(lavaan)) install.packages('lavaan')",
        "sem(); lmer(); summary(); paste(); c(); read.csv(); mutate(); coef_test(); ifelse()",
        "lmer(y ~ (1 | g), NULL); sem('', d, d, d, d, d)",
    ],
)  # fmt: skip
def test_what_comes_out_is_python_whatever_comes_in(text: str) -> None:
    code = _code(text)
    assert "\r" not in code
    names = {node.id for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Name)}
    assert not names & {"os", "__import__"}


def test_deep_and_long_texts() -> None:
    _code("x <- " + "(" * 5000 + "1" + ")" * 5000)
    _code("x <- " + "+".join(["1"] * 20_000))
    _code("x <- 'f =~ " + "a" * 1_000_000 + "'")
    _code("x <- 1\n" * 20_000)
    _code("{" * 2000 + "x" + "\n" * 2000)
    _code("x <- 1:1e400; y <- seq(1, 1e400); z <- names(d)[1e400]")
    _code("x <- c(1:1e12); y <- paste0('y', 1:1e12); z <- seq(1, 1e12)")  # looked into by none


def test_a_nul_is_refused() -> None:
    with pytest.raises(mlsem.ModelSyntaxError, match="NUL"):
        mlsem.port("x <- 1\0")


@given(st.integers(0, len(SCRIPTS) - 1), st.integers(0, 3000), st.integers(0, 60), st.text())
def test_mutilated_scripts(script: int, start: int, length: int, put: str) -> None:
    text = SCRIPTS[script].read_text("utf-8")
    mutated = (text[:start] + put + text[start + length :]).replace("\0", "")
    _code(mutated[:4000])


# --- the record, the call, the command ----------------------------------------------------------


def test_the_record(tmp_path: Path) -> None:
    ported = mlsem.port("x <- 1")
    assert pickle.loads(pickle.dumps(ported)) == ported
    assert (
        str(ported) == ported.code == "# Translated from R: 1 statement.\n\nimport mlsem\n\nx = 1\n"
    )
    ported.save(tmp_path / "x.py")
    assert (tmp_path / "x.py").read_text("utf-8") == ported.code
    with pytest.raises(mlsem.MlsemError, match="overwrite=True"):
        ported.save(tmp_path / "x.py")
    with pytest.raises(mlsem.MlsemError, match="no folder"):
        ported.save(tmp_path / "none" / "x.py")


def test_wrong_calls() -> None:
    with pytest.raises(mlsem.OptionValueError, match="read_text"):
        mlsem.port(Path("script.R"))  # pyright: ignore[reportArgumentType]
    with pytest.raises(mlsem.OptionValueError, match="Did you mean 'mplus'"):
        mlsem.port("x", kind="mpluss")


def test_without_the_grammar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tree_sitter", None)
    with pytest.raises(mlsem.InterfaceError, match='pip install tree-sitter "tree-sitter-lang'):
        read.read_script("x <- 1")


def test_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    script, out = tmp_path / "script.R", tmp_path / "script.py"
    script.write_text("x <- 1\ny <- frobnicate(x)\n", "utf-8")
    assert main(["port", "script.R"]) == OK
    printed = capsys.readouterr()
    assert printed.out == mlsem.port(script.read_text("utf-8")).code
    assert "1 place was not translated" in printed.err
    assert main(["port", "script.R", "--out", "script.py"]) == OK
    assert out.read_text("utf-8") == printed.out
    assert capsys.readouterr().out == ""
    assert main(["port", "script.R", "--out", "script.py"]) == FAILED
    assert "--overwrite" in capsys.readouterr().err
    assert main(["port", "script.R", "--out", "script.R", "--overwrite"]) == FAILED
    assert "which is read" in capsys.readouterr().err
    assert main(["port", "none.R"]) == FAILED
    assert "there is no script file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("statement", "formula"),
    [
        ("lmer(y ~ x + (1 | a/b), data = d)", "y ~ x + (1 | a/b)"),
        ("lmer(y ~ x + (x | a) + (1 | a:b), data = d)", "y ~ x + (x | a) + (1 | a:b)"),
        ("lme(y ~ x, random = ~ 1 | a/b, data = d)", "y ~ x + (1 | a/b)"),
    ],
)
def test_three_levels(statement: str, formula: str) -> None:
    ported = mlsem.port(f'd <- read.csv("d.csv")\nm <- {statement}')
    assert ported.untranslated == 0
    assert f'mlsem.lmm("{formula}", d)' in ported.code
