"""Files of every kind, and what is said of those that cannot be read."""

from __future__ import annotations

import importlib.util
from zipfile import ZipFile

import pandas as pd
import pytest

from mlsem.data.frames import files
from mlsem.data.frames.files import read_table
from mlsem.errors import DataError, DataWarning, InterfaceError

FRAME = pd.DataFrame({"school": [1.0, 1.0, 2.0], "y": [0.5, -1.5, 2.0]})


def test_text_files(tmp_path):
    FRAME.to_csv(tmp_path / "a.csv", index=False)
    FRAME.to_csv(tmp_path / "b.CSV", index=False, encoding="utf-8-sig")
    FRAME.to_csv(tmp_path / "a.tsv", index=False, sep="\t")
    FRAME.to_csv(tmp_path / "a.txt", index=False, sep="\t")
    for name in ("a.csv", "b.CSV", "a.tsv", "a.txt"):
        pd.testing.assert_frame_equal(read_table(tmp_path / name), FRAME)
    pd.testing.assert_frame_equal(read_table(str(tmp_path / "a.csv")), FRAME)


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.txt"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators_are_seen(tmp_path, name, separator):
    FRAME.to_csv(tmp_path / name, index=False, sep=separator)
    pd.testing.assert_frame_equal(read_table(tmp_path / name), FRAME)


def test_decimal_commas_and_quoted_names(tmp_path):
    FRAME.to_csv(tmp_path / "a.csv", index=False, sep=";", decimal=",")
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.csv"), FRAME)
    (tmp_path / "b.csv").write_text('"a, b";"c"\n1;2.5\n')
    assert read_table(tmp_path / "b.csv").to_dict("list") == {"a, b": [1], "c": [2.5]}
    (tmp_path / "c.csv").write_text("a\n1\n2\n")
    assert list(read_table(tmp_path / "c.csv")["a"]) == [1, 2]


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    FRAME.to_parquet(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.parquet"), FRAME)


@pytest.mark.parametrize("packed", ["gz", "bz2", "xz", "zip"])
def test_packed_text(tmp_path, packed):
    for name, separator in (("a.csv", ","), ("b.tsv", "\t"), ("c.csv", ";")):
        path = tmp_path / f"{name}.{packed}"
        FRAME.to_csv(path, sep=separator, index=False)
        pd.testing.assert_frame_equal(read_table(path), FRAME)


def test_archives(tmp_path):
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("inside/pupils.csv", FRAME.to_csv(index=False))
        archive.writestr("__MACOSX/inside/._pupils.csv", b"\0")
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.zip"), FRAME)
    with ZipFile(tmp_path / "b.csv.zip", "w") as archive:
        archive.writestr("a.csv", "x\n1\n")
        archive.writestr("b.csv", "x\n1\n")
    with pytest.raises(DataError, match=r"'b.csv.zip' holds 'a.csv', 'b.csv'; it takes one file"):
        read_table(tmp_path / "b.csv.zip")
    (tmp_path / "c.zip").write_bytes(b"PK no archive")
    (tmp_path / "d.csv.gz").write_bytes(b"x,y\n1,2\n")
    for name in ("c.zip", "d.csv.gz"):
        with pytest.raises(DataError, match=f"'{name}' cannot be read as"):
            read_table(tmp_path / name)


def test_excel(tmp_path):
    pytest.importorskip("openpyxl")
    FRAME.to_excel(tmp_path / "a.xlsx", index=False)
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.xlsx"), FRAME, check_dtype=False)
    with pd.ExcelWriter(tmp_path / "b.xlsx") as book:
        FRAME.to_excel(book, sheet_name="pupils", index=False)
        FRAME.to_excel(book, sheet_name="schools", index=False)
    with pytest.warns(DataWarning, match="has 2 sheets; the first one, 'pupils', is read"):
        pd.testing.assert_frame_equal(read_table(tmp_path / "b.xlsx"), FRAME, check_dtype=False)


def test_stata(tmp_path):
    FRAME.to_stata(tmp_path / "a.dta", write_index=False)
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.dta"), FRAME)


def test_spss(tmp_path):
    pyreadstat = pytest.importorskip("pyreadstat")
    labels = {"school": {1: "North", 2: "South"}}
    pyreadstat.write_sav(FRAME, str(tmp_path / "a.sav"), variable_value_labels=labels)
    found = read_table(tmp_path / "a.sav")
    pd.testing.assert_frame_equal(found, FRAME, check_flags=False)


@pytest.mark.parametrize(
    ("name", "package"),
    [("a.parquet", "pyarrow"), ("a.sav", "pyreadstat"), ("a.xlsx", "openpyxl")],
)
def test_optional_packages(tmp_path, monkeypatch, name, package):
    (tmp_path / name).write_bytes(b"x")
    monkeypatch.setattr(files, "find_spec", lambda _: None)
    with pytest.raises(InterfaceError, match=rf"needs {package}: pip install {package}\."):
        read_table(tmp_path / name)


def test_unknown_kind(tmp_path):
    with pytest.raises(DataError, match=r"unknown kind of file '.xls'; known are .csv, .tsv.*"):
        read_table(tmp_path / "a.xls")
    with pytest.raises(DataError, match=r"known are .* A pickle may run programs when it is read"):
        read_table(tmp_path / "a.pkl")
    with pytest.raises(DataError, match=r"of packed files those of text are read: .* Unpack it"):
        read_table(tmp_path / "a.dta.gz")
    with pytest.raises(DataError, match=r"'.parqet'; .* Did you mean '.parquet'\?"):
        read_table(tmp_path / "a.parqet")


def test_absent_files(tmp_path):
    (tmp_path / "pupils.csv").write_text("a\n1\n")
    with pytest.raises(DataError, match=r"is not there. Did you mean 'pupils.csv'\?"):
        read_table(tmp_path / "pupil.csv")
    with pytest.raises(DataError, match="nor is the folder"):
        read_table(tmp_path / "none" / "a.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="is not a file"):
        read_table(tmp_path / "folder.csv")


def test_empty_and_broken_files(tmp_path):
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(DataError, match=r"'a.csv' is empty"):
        read_table(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("x,y\n")
    with pytest.raises(DataError, match="no rows of data"):
        read_table(tmp_path / "b.csv")
    (tmp_path / "c.csv").write_text("x\nMünchen\n", encoding="latin-1")
    with pytest.raises(DataError, match=r"'c.csv' is not UTF-8 text \(byte \d+"):
        read_table(tmp_path / "c.csv")
    (tmp_path / "d.csv").write_text("x,y\n1,2\n1,2,3\n")
    with pytest.raises(DataError, match=r"'d.csv' cannot be read as .csv: .*line 3"):
        read_table(tmp_path / "d.csv")


@pytest.mark.parametrize(
    ("suffix", "package"),
    [("parquet", "pyarrow"), ("dta", None), ("sav", "pyreadstat"), ("xlsx", "openpyxl")],
)
def test_not_what_the_name_says(tmp_path, suffix, package):
    if package and importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")
    file = tmp_path / f"a.{suffix}"
    file.write_text("school,y\n1,2\n" * 20)
    with pytest.raises(DataError, match=rf"cannot be read as .{suffix}"):
        read_table(file)
