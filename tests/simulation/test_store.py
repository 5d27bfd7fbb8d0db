"""Study files: no record lost, glued to another, doubled or misread, whatever happens to them."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from zlib import crc32

import pytest

from mlsem.errors import DataError
from mlsem.simulation.study import lock
from mlsem.simulation.study.methods import Outcome
from mlsem.simulation.study.records import line_of, read_line, record_of
from mlsem.simulation.study.run import study
from mlsem.simulation.study.store import Store

ROOT = Path(__file__).parents[2]
DATA = "level: 1\n y ~ 0.5*x1\n y ~~ 1*y\nlevel: 2\n y ~ 0.3*w1\n y ~~ 1*y"
DESIGN = (DATA, {"n_clusters": 12, "cluster_size": 3})
ML = {"model": "level: 1\n y ~ x1\nlevel: 2\n y ~ w1", "cluster": "id"}
HEAD = {"generator": "g", "seed": 1, "models": {"m": "('fit', 'y ~ x')"}, "parameters": None}


def record(number: int, est: float = 0.5):
    return number, {"m": Outcome(True, "", {"y~x": (est, 0.1, float("inf"))})}


def filled(path: Path, count: int = 3) -> Path:
    with Store.opened(path) as store:
        store.begin(HEAD)
        store.add([record(k) for k in range(count)])
    return path


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["replication"] for line in path.read_text().splitlines()[1:]]


def run(path: Path, replications: int = 6, **options):
    return study(DESIGN, {"ML": ML}, replications, seed=1, file=path, progress=False, **options)


def sealed(text: str) -> str:
    """A line with the right checksum, whatever it says."""
    return f'{text[:-1]}, "crc32": "{crc32(text.encode()):08x}"}}'


# --- lines -------------------------------------------------------------------------------------


def test_what_is_written_is_read():
    special = {"nan": (float("nan"), float("inf"), float("-inf")), "ß\ud800\n": (1.0, 2.0, 3.0)}
    outcomes = {"a": Outcome(True, "", special), "b": Outcome(False, "Error: α\nβ", {})}
    line = line_of((7, outcomes))
    assert line.count(b"\n") == 1
    number, found = record_of(read_line(line, checked=True))
    assert number == 7
    assert repr(found) == repr(outcomes)


@pytest.mark.parametrize("position", range(0, 150, 7))
def test_no_changed_byte_passes(position):
    line = bytearray(line_of(record(3)))
    line[position % (len(line) - 1)] ^= 1
    with pytest.raises(ValueError, match=r"checksum|changed|cut"):
        read_line(bytes(line), checked=True)


METHODS = '"methods": {"m": {"converged": true, "failure": "", "parameters": {"y~x": %s}}}'
ODD = {
    "5": "not an object",
    "null": "not an object",
    '"x"': "not an object",
    "[1, 2]": "not an object",
    "[" * 100_000: "nests too deeply",
    '{"a":' * 100_000: "nests too deeply",
    "{": "not JSON",
    "": "not JSON",
    "{}": "'replication' is missing",
    '{"replication": 1}': "'methods' is missing",
    '{"replication": 1, "methods": []}': "methods is not an object",
    '{"replication": 1, "methods": null}': "methods is not an object",
    '{"replication": 1, "methods": {"m": 1}}': "'m' is not an object",
    '{"replication": 1, "methods": {"m": {}}}': "'converged' is missing",
    '{"replication": 1, "methods": {}}': "its methods are not those",
    '{"replication": 1, "methods": {"n": {"converged": true, "failure": "", "parameters": {}}}}': (
        "its methods are not those"
    ),
    '{"replication": 1, "methods": {"m": {"converged": 1, "failure": "", "parameters": {}}}}': (
        "not true or false"
    ),
    '{"replication": 1, "methods": {"m": {"converged": true, "failure": "E", "parameters": {}}}}': (
        "failed, and has"
    ),
    '{"replication": 1, "replication": 2, "methods": {}}': "'replication' is there twice",
    **{
        f'{{"replication": {odd}, "methods": {{}}}}': words
        for odd, words in {
            "-1": "not a number from 0",
            "1.5": "not a number from 0",
            "true": "not a number from 0",
            '"1"': "not a number from 0",
            "null": "not a number from 0",
            "1e999": "too large",
            "9" * 5000: "too large",
        }.items()
    },
    **{
        f'{{"replication": 1, {METHODS % odd}}}': words
        for odd, words in {
            "[1, 2]": "three numbers",
            "1": "three numbers",
            "[1, 2, 3, 4]": "three numbers",
            "[1e999, 1, 1]": "too large",
            "[NaN, 1, 1]": "NaN is not a number",
            "[-Infinity, 1, 1]": "not a number",
            '["NaN", 1, 1]': "not a number",
            '["0x1", 1, 1]': "not a number",
            "[true, 1, 1]": "not a number",
            "[[1], 1, 1]": "not a number",
            f"[1{'0' * 350}, 1, 1]": "too large",
            f"[1{'0' * 5000}, 1, 1]": "too large",
        }.items()
    },
}


@pytest.mark.parametrize("kind", [1, 2])
@pytest.mark.parametrize("text", ODD, ids=lambda text: text[:60])
def test_odd_lines_are_named(text, kind, tmp_path):
    """Without checksums (format 1), and with ones that are right."""
    path = filled(tmp_path / "study.jsonl", 1)
    head, first = path.read_text().splitlines()
    if kind == 1:
        head = json.dumps({"mlsem_study": 1, **HEAD})
    elif text.endswith("}"):
        text = sealed(text)
    path.write_text(f"{head}\n{first}\n{text}\n")
    before = path.read_bytes()
    words = ODD.get(text, "") if kind == 1 else ""
    with (
        pytest.raises(DataError, match=r"study\.jsonl, line 3, is damaged .*delete") as caught,
        Store.opened(path) as store,
    ):
        store.begin(HEAD)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 600
    assert path.read_bytes() == before


@pytest.mark.parametrize("raw", [b"\xff\xfe{}", b"\xef\xbb\xbf{}", b"\x00" * 30, b'{"a": "\xff"}'])
def test_bytes_that_are_no_text(raw, tmp_path):
    for kind in (1, 2):
        path = filled(tmp_path / f"{kind}.jsonl", 1)
        head = path.read_bytes().splitlines()[0]
        old = json.dumps({"mlsem_study": 1, **HEAD}).encode()
        path.write_bytes((old if kind == 1 else head) + b"\n" + raw + b"\n")
        with pytest.raises(DataError, match="line 2, is damaged"), Store.opened(path):
            pass


@pytest.mark.parametrize(
    ("first", "words"),
    [
        ("5", "is not a study"),
        ("null", "is not a study"),
        ("[" * 100_000, "is not a study"),
        ('{"mlsem": 1}', "is not a study"),
        ("id,y", "is not a study"),
        ('{"mlsem_study": 3}', "written by a newer mlsem"),
        ('{"mlsem_study": 2, "seed": 1}', "line 1, is damaged"),
        ('{"mlsem_study": null}', "line 1, is damaged"),
        ('{"mlsem_study": 1, "seed": "a"}', "line 1, is damaged .*not a number from 0"),
        ('{"mlsem_study": 1, "seed": 1e999}', "line 1, is damaged"),
        ('{"mlsem_study": 1, "seed": 1, "generator": 2}', "generator is not text"),
        ('{"mlsem_study": 1, "seed": 1, "generator": "g", "models": []}', "models is not"),
        ('{"mlsem_study": 1, "seed": 1, "generator": "g", "models": {"m": 1}}', r"models\['m'\]"),
        ('{"mlsem_study": 1, "seed": 1, "generator": "g", "models": {}}', "'parameters' is mis"),
        (
            '{"mlsem_study": 1, "seed": 1, "generator": "g", "models": {}, "parameters": [1]}',
            "parameters is not",
        ),
    ],
)
def test_first_lines(first, words, tmp_path):
    path = tmp_path / "study.jsonl"
    path.write_text(first + "\n")
    with pytest.raises(DataError, match=words), Store.opened(path):
        pass
    assert path.read_text() == first + "\n"


def test_a_changed_first_line_is_seen(tmp_path):
    path = filled(tmp_path / "study.jsonl")
    path.write_text(path.read_text().replace('"seed": 1', '"seed": 2', 1))
    with pytest.raises(DataError, match=r"line 1, is damaged .*changed"), Store.opened(path):
        pass


def test_parameters_of_a_model_do_not_change(tmp_path):
    path = tmp_path / "study.jsonl"
    other = (1, {"m": Outcome(True, "", {"y~z": (1.0, 1.0, 1.0)})})
    failed = (2, {"m": Outcome(False, "Error: no", {})})
    with Store.opened(path) as store:
        store.begin(HEAD)
        store.add([record(0), failed, other])
    with Store.opened(path) as store:
        store.begin(HEAD)  # those of a function may
    with Store.opened(path) as store, pytest.raises(DataError, match=r"line 4.* not those of line"):
        store.begin(HEAD, fixed=["m"])
    path.unlink()
    kept = HEAD | {"parameters": ["y~x"]}
    with Store.opened(path) as store:
        store.begin(kept)
        store.add([record(0), other])
    with Store.opened(path) as store, pytest.raises(DataError, match="parameters= does not name"):
        store.begin(kept)


def test_one_replication_twice(tmp_path):
    path = filled(tmp_path / "study.jsonl", 2)
    text = path.read_text()
    path.write_text(text + text.splitlines()[1] + "\n")  # the same: harmless
    with Store.opened(path) as store:
        assert sorted(store.outcomes) == [0, 1]
    path.write_bytes(text.encode() + line_of(record(1, 0.25)))
    with (
        pytest.raises(DataError, match=r"line 4, .*replication 1 is in line 3 too"),
        Store.opened(path),
    ):
        pass


def test_files_without_checksums_go_on(tmp_path):
    """Format 1, as before checksums."""
    path = tmp_path / "study.jsonl"
    whole = run(path)
    head, *lines = path.read_text().splitlines()
    old = [head, *lines[:4]]
    old = [line[: line.rindex(', "crc32"')] + "}" for line in old]
    old[0] = old[0].replace('"mlsem_study": 2', '"mlsem_study": 1')
    path.write_text("\n".join(old) + "\n" + lines[4][:50])
    assert run(path).estimates.equals(whole.estimates)
    assert numbers(path) == list(range(6))
    assert run(path).estimates.equals(whole.estimates)


# --- writing -----------------------------------------------------------------------------------


class Full:
    """A file on a disk that has room for so many bytes."""

    def __init__(self, file, room: int) -> None:
        self.file, self.room = file, room

    def write(self, text) -> int:
        written = min(len(text), self.room, 11)  # short writes too
        if not written:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.room -= written
        return self.file.write(text[:written])

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.mark.parametrize("room", [0, 1, 50, 139, 150])
def test_a_full_disk_cuts_back(room, tmp_path):
    path = filled(tmp_path / "study.jsonl", 2)
    before = path.read_bytes()
    with Store.opened(path) as store:
        store.begin(HEAD)
        store._file = Full(store._file, room)
        with pytest.raises(DataError, match="No space left"):
            store.add([record(2), record(3)])
        assert path.read_bytes() == before
        store._file.room = 10_000
        store.add([record(2), record(3)])
    assert numbers(path) == [0, 1, 2, 3]


def test_an_interrupted_write_cuts_back(tmp_path, monkeypatch):
    def interrupted(descriptor):
        raise KeyboardInterrupt

    path = filled(tmp_path / "study.jsonl", 1)
    before = path.read_bytes()
    with Store.opened(path) as store:
        monkeypatch.setattr(os, "fsync", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.add([record(1)])
    assert path.read_bytes() == before


def test_a_beginning_that_was_cut_off_begins_again(tmp_path):
    path = filled(tmp_path / "study.jsonl", 1)
    head = path.read_bytes().splitlines(keepends=True)[0]
    for length in range(len(head)):
        path.write_bytes(head[:length])
        filled(path, 2)
        assert numbers(path) == [0, 1]


@pytest.mark.parametrize("change", [Path.unlink, lambda path: os.replace(path, f"{path}.old")])
def test_a_file_that_is_taken_away(change, tmp_path):
    path = filled(tmp_path / "study.jsonl", 1)
    with Store.opened(path) as store:
        change(path)
        with pytest.raises(DataError, match="cannot be read and written"):
            store.add([record(1)])
    filled(path, 1)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_finished_study_may_be_read_only(tmp_path):
    path = tmp_path / "study.jsonl"
    first = run(path)
    path.chmod(0o444)
    assert run(path).estimates.equals(first.estimates)
    with pytest.raises(DataError, match="cannot be read and written"):
        run(path, 8)


# --- locks -------------------------------------------------------------------------------------


def test_two_studies_on_one_file(tmp_path):
    path = filled(tmp_path / "study.jsonl")
    (tmp_path / "link").symlink_to(path)
    (tmp_path / "hard").hardlink_to(path)
    with Store.opened(path):
        for other in (path, tmp_path / "link", tmp_path / "hard"):
            with pytest.raises(DataError, match="is in use: another"), Store.opened(other):
                pass
        with pytest.raises(DataError, match=r"this very process, since \d{4}-.*another file="):
            run(path)
    assert not Path(f"{path}.lock").exists()
    filled(path)


HOLDS = """
import sys, time
from mlsem.simulation.study.store import Store
with Store.opened(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_another_process_is_named_and_its_death_frees_the_file(tmp_path):
    path = filled(tmp_path / "study.jsonl")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(path)], stdout=subprocess.PIPE, env=environment
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        expected = rf"is in use: process {holder.pid} on '{socket.gethostname()}', since \d{{4}}-"
        with pytest.raises(DataError, match=expected):
            run(path)
        holder.kill()
    assert Path(f"{path}.lock").exists()  # nobody could take it away
    filled(path)
    assert not Path(f"{path}.lock").exists()


def test_where_there_are_no_locks_the_note_is_one(tmp_path, monkeypatch):
    def none(file):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock, "_take", none)
    path, note = filled(tmp_path / "study.jsonl"), tmp_path / "study.jsonl.lock"
    expected = r"in use: another study of this .*delete "
    with Store.opened(path), pytest.raises(DataError, match=expected):
        run(path)
    assert not note.exists()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    note.write_text(json.dumps({"pid": gone.pid, "host": socket.gethostname(), "since": "then"}))
    filled(path)  # its process is gone
    assert not note.exists()
    note.write_text(json.dumps({"pid": gone.pid, "host": "elsewhere", "since": "then"}))
    with pytest.raises(DataError, match=r"process \d+ on 'elsewhere', since then .*delete "):
        run(path)
    note.write_text("[" * 100_000)
    with pytest.raises(DataError, match="in use: another process"):
        run(path)
    assert note.exists()


# --- killed studies ----------------------------------------------------------------------------

STUDY = """
import sys
from tests.simulation.test_store import run
from pathlib import Path
run(Path(sys.argv[1]), int(sys.argv[2]))
"""


def test_killed_studies_go_on(tmp_path):
    path, count = tmp_path / "study.jsonl", 40
    expected = run(tmp_path / "whole.jsonl", count)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    for target in (5, 15):
        with subprocess.Popen(
            [sys.executable, "-c", STUDY, str(path), str(count)], env=environment
        ) as killed:
            while killed.poll() is None and (
                not path.exists() or path.read_bytes().count(b"\n") < target
            ):
                time.sleep(0.005)
            killed.send_signal(signal.SIGKILL)
    assert run(path, count).estimates.equals(expected.estimates)
    assert sorted(numbers(path)) == list(range(count))


@pytest.mark.parametrize(("code", "taken"), [(0, False), (errno.EACCES, True), (errno.EIO, None)])
def test_windows_locks_a_byte_behind_the_records(code, taken, tmp_path, monkeypatch):
    places = []

    class Locks:
        LK_NBLCK = 2

        @staticmethod
        def locking(descriptor, mode, count):
            places.append((os.lseek(descriptor, 0, os.SEEK_CUR), mode, count))
            if code:
                raise OSError(code, "refused")

    path = filled(tmp_path / "study.jsonl")
    monkeypatch.setitem(sys.modules, "msvcrt", Locks)
    monkeypatch.setattr(lock.sys, "platform", "win32")
    with path.open("r+b", buffering=0) as file:
        file.seek(5)
        if taken is False:
            lock._take(file)
        else:
            with pytest.raises(OSError, match="refused") as caught:
                lock._take(file)
            assert isinstance(caught.value, BlockingIOError) == bool(taken)
        assert file.tell() == 5
    assert places == [(lock.BEYOND, 2, 1)]
