"""Submissions: what is unpacked, what is refused, who handed in. Zips are made here, byte by byte
where a zip tool wouldn't make them."""

import contextlib
import errno
import io
import json
import os
import stat
import struct
import tempfile
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.errors import GraderFault, SubmissionError
from grader.submission import archive as module
from grader.submission import find_parts, find_submissions, open_submission, passed_over

NOTEBOOK = json.dumps({"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


@pytest.fixture
def into(tmp_path):
    folder = tmp_path / "into"
    folder.mkdir()
    return folder


def zipped(entries, *, compression=zipfile.ZIP_DEFLATED):
    """Return the bytes of a zip; entries : (name or ZipInfo, bytes) pairs."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name that comes twice
        for name, data in entries:
            archive.writestr(name, data)
    return stream.getvalue()


def written(folder, name, data):
    path = folder / name
    path.write_bytes(data)
    return path


def handed_in(tmp_path, entries, name="work.zip"):
    return written(tmp_path, name, zipped(entries))


def names(submission):
    return [file.as_posix() for file in submission.files]


def everything_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


# --- what is read -------------------------------------------------------------------------


def test_a_zip_gives_its_notebooks_and_scripts_in_order(tmp_path, into):
    path = handed_in(tmp_path, [("b.py", b"x = 1"), ("a.ipynb", NOTEBOOK), ("report.pdf", b"%PDF")])
    submission = open_submission(path, into)
    assert names(submission) == ["a.ipynb", "b.py"]
    assert submission.folder == into
    assert (into / "report.pdf").read_bytes() == b"%PDF"
    assert (into / "a.ipynb").read_bytes() == NOTEBOOK


@pytest.mark.parametrize("folder", ["pw02", "pw02/Abgabe von Zoë", "a/b/c/d"])
def test_notebooks_in_folders_of_the_zip_are_found(tmp_path, into, folder):
    submission = open_submission(handed_in(tmp_path, [(f"{folder}/a.ipynb", NOTEBOOK)]), into)
    assert names(submission) == [f"{folder}/a.ipynb"]


def test_what_systems_add_to_a_zip_is_skipped(tmp_path, into):
    entries = [
        ("pw/a.ipynb", NOTEBOOK),
        ("__MACOSX/pw/._a.ipynb", b"\0\5\x16\7"),
        ("pw/._b.ipynb", b"\0"),
        ("pw/.DS_Store", b"\0"),
        ("pw/.ipynb_checkpoints/a-checkpoint.ipynb", NOTEBOOK),
        ("pw/.git/hooks/pre-commit", b"#!/bin/sh"),
    ]
    submission = open_submission(handed_in(tmp_path, entries), into)
    assert names(submission) == ["pw/a.ipynb"]
    assert everything_below(into) == ["pw", "pw/a.ipynb"]


@pytest.mark.parametrize(
    ("encoding", "flagged"),
    [("utf-8", True), ("utf-8", False), ("cp437", False), ("latin-1", False)],
)
def test_accents_survive_the_code_pages_of_zip_tools(tmp_path, into, encoding, flagged):
    name = "Übung für André.ipynb"
    raw = name.encode(encoding)
    placeholder = "x" * len(raw)
    data = zipped([(placeholder, NOTEBOOK)], compression=zipfile.ZIP_STORED)
    data = data.replace(placeholder.encode(), raw)
    if flagged:
        data = with_flag(data, 0x800)
    submission = open_submission(written(tmp_path, "work.zip", data), into)
    assert names(submission) == [name]


def with_flag(data, flag):
    """Return the zip's bytes with a flag set in both headers of each entry."""
    out = bytearray(data)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = out.find(signature)
        while at >= 0:
            (flags,) = struct.unpack_from("<H", out, at + offset)
            struct.pack_into("<H", out, at + offset, flags | flag)
            at = out.find(signature, at + 4)
    return bytes(out)


def test_backslashes_of_windows_tools_part_folders(tmp_path, into):
    submission = open_submission(handed_in(tmp_path, [("pw02\\a.ipynb", NOTEBOOK)]), into)
    assert names(submission) == ["pw02/a.ipynb"]


def test_a_zip_in_a_zip_is_opened_beside_itself(tmp_path, into):
    inner = zipped([("sigmoid.ipynb", NOTEBOOK)])
    submission = open_submission(handed_in(tmp_path, [("ex2.zip", inner)]), into)
    assert names(submission) == ["ex2/sigmoid.ipynb"]


def test_a_zipped_data_set_in_the_zip_stays_packed(tmp_path, into):
    inner = zipped([("data.csv", b"1,2")])
    submission = open_submission(
        handed_in(tmp_path, [("a.ipynb", NOTEBOOK), ("data.zip", inner)]), into
    )
    assert names(submission) == ["a.ipynb"]
    assert everything_below(into) == ["a.ipynb", "data.zip"]


def test_zips_are_opened_one_level_deep_and_no_deeper(tmp_path, into):
    innermost = zipped([("b.ipynb", NOTEBOOK)])
    inner = zipped([("a.ipynb", NOTEBOOK), ("deeper.zip", innermost)])
    submission = open_submission(handed_in(tmp_path, [("x.zip", inner)]), into)
    assert names(submission) == ["x/a.ipynb"]


@pytest.mark.parametrize("name", ["sigmoid.ipynb", "hw1-q2.py"])
def test_a_single_file_is_a_submission(tmp_path, into, name):
    path = written(tmp_path, name, NOTEBOOK)
    assert names(open_submission(path, into)) == [name]


@pytest.mark.parametrize("name", ["sigmoid.zip", "sigmoid.ipynb.json", "sigmoid.txt", "sigmoid"])
def test_a_notebook_under_another_suffix_is_read_as_a_notebook(tmp_path, into, name):
    submission = open_submission(written(tmp_path, name, NOTEBOOK), into)
    assert names(submission) == ["sigmoid.ipynb"]
    assert [note.kind for note in submission.notes] == ["wrong_name"]


def test_a_notebook_inside_under_another_suffix_is_read_as_a_notebook(tmp_path, into):
    files = {
        "a/one.ipynb.txt": NOTEBOOK, "two.IPYNB.json": NOTEBOOK, "three.ipynb": NOTEBOOK,
        "three.ipynb.txt": NOTEBOOK, "four.ipynb.txt": b"not a notebook",
        "work.zip": zipped([("five.ipynb.txt", NOTEBOOK)]),
    }  # fmt: skip
    (tmp_path / "Meier_Anna").mkdir()
    for name, text in files.items():
        path = tmp_path / "Meier_Anna" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text)
    submission = open_submission(tmp_path / "Meier_Anna", into)
    assert list(map(str, submission.files)) == [
        "a/one.ipynb", "three.ipynb", "two.IPYNB", "work/five.ipynb",
    ]  # fmt: skip
    assert [note.message for note in submission.notes][:2] == [
        "one.ipynb.txt is a notebook, read as one.ipynb",
        "two.IPYNB.json is a notebook, read as two.IPYNB",
    ]


def test_a_zip_under_another_suffix_is_unpacked(tmp_path, into):
    path = written(tmp_path, "work.ipynb", zipped([("a.ipynb", NOTEBOOK)]))
    assert names(open_submission(path, into)) == ["a.ipynb"]


def test_a_folder_is_copied_without_links_and_environments(tmp_path, into):
    folder = tmp_path / "work"
    (folder / "venv" / "lib").mkdir(parents=True)
    written(folder, "a.ipynb", NOTEBOOK)
    written(folder, "data.csv", b"1")
    written(folder / "venv" / "lib", "x.py", b"")
    (folder / "link.ipynb").symlink_to("/etc/passwd")
    submission = open_submission(folder, into)
    assert names(submission) == ["a.ipynb"]
    assert everything_below(into) == ["a.ipynb", "data.csv"]
    assert "link.ipynb is a link" in submission.notes[0].message


def test_the_templates_own_checks_are_not_taken_for_work(tmp_path, into):
    entries = [
        ("pw02/sigmoid.ipynb", NOTEBOOK),
        ("pw02/checks/assignment.toml", b""),
        ("pw02/checks/test_sigmoid.py", b""),
        ("pw02/checks/stubs/sigmoid.ipynb", NOTEBOOK),
    ]
    submission = open_submission(handed_in(tmp_path, entries), into)
    assert names(submission) == ["pw02/sigmoid.ipynb"]


# --- what is refused, or left out -----------------------------------------------------------


def refusal(path, into):
    """Return the one line that refuses path; nothing may be left behind."""
    with pytest.raises(SubmissionError) as caught:
        open_submission(path, into)
    assert list(into.iterdir()) == []
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["../out.ipynb", "a/../../out.ipynb", "/tmp/out.ipynb", "C:\\out.ipynb", "..\\out.ipynb"],
)
def test_names_that_lead_outside_refuse_the_zip(tmp_path, into, name):
    path = handed_in(tmp_path, [("a.ipynb", NOTEBOOK), (name, NOTEBOOK)])
    assert refusal(path, into) == (
        f"work.zip holds a name that leads outside its folder ({name}): zip only the notebooks"
    )
    assert sorted(tmp_path.rglob("out.ipynb")) == []


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (stat.S_IFLNK, "a link"),
        *((kind, "no ordinary file") for kind in (stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO)),
    ],
)
def test_links_and_devices_are_left_out_with_a_note(tmp_path, into, kind, words):
    odd = zipfile.ZipInfo("odd.ipynb")
    odd.create_system = 3
    odd.external_attr = (kind | 0o777) << 16
    submission = open_submission(
        handed_in(tmp_path, [("a.ipynb", NOTEBOOK), (odd, b"/etc/passwd")]), into
    )
    assert names(submission) == ["a.ipynb"]
    told = [(note.kind, note.message) for note in submission.notes]
    assert told == [("ignored_file", f"odd.ipynb is {words} and was left out")]


@pytest.mark.parametrize("name", ["data/", "data\\", "./", ".\\"])
def test_an_entry_for_a_folder_writes_no_file(tmp_path, into, name):
    submission = open_submission(handed_in(tmp_path, [("a.py", b"x"), (name, b"")]), into)
    assert everything_below(into) == ["a.py"]
    assert submission.notes == ()


def test_of_two_entries_of_one_name_the_first_counts(tmp_path, into):
    path = handed_in(tmp_path, [("a.py", b"first"), ("a.py", b"second"), ("A.PY", b"third")])
    submission = open_submission(path, into)
    assert (into / "a.py").read_bytes() == b"first"
    assert everything_below(into) == ["a.py"]
    assert [note.kind for note in submission.notes] == ["duplicate_name", "duplicate_name"]


def test_a_folder_is_not_copied_into_itself(tmp_path):
    written(tmp_path, "a.ipynb", NOTEBOOK)
    into = tmp_path / "tmp" / "0"
    into.mkdir(parents=True)
    assert open_submission(tmp_path, into).files == (Path("a.ipynb"),)


def test_a_file_that_is_also_a_folder_stays_a_file(tmp_path, into):
    path = handed_in(tmp_path, [("a.py", b"x"), ("a.py/b.py", b"y"), ("c/d.py", b""), ("c", b"")])
    submission = open_submission(path, into)
    assert names(submission) == ["a.py", "c/d.py"]
    assert len(submission.notes) == 2


def test_an_encrypted_zip_is_refused(tmp_path, into):
    data = with_flag(zipped([("a.ipynb", NOTEBOOK)]), 0x1)
    assert "without a password" in refusal(written(tmp_path, "a.zip", data), into)


def test_a_packing_method_unknown_here_is_refused(tmp_path, into):
    data = bytearray(zipped([("a.ipynb", NOTEBOOK)]))
    for signature, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        struct.pack_into("<H", data, data.find(signature) + offset, 9)  # deflate64
    assert "zip it again" in refusal(written(tmp_path, "a.zip", bytes(data)), into)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_zip_cut_off_is_refused(tmp_path, into, share):
    data = zipped([(f"{n}.ipynb", os.urandom(500)) for n in range(5)])
    path = written(tmp_path, "a.zip", data[: int(share * len(data))])
    assert "cut off" in refusal(path, into)


def test_a_damaged_entry_refuses_the_zip_and_leaves_nothing(tmp_path, into):
    data = bytearray(zipped([("a.ipynb", NOTEBOOK), ("b.ipynb", b"x" * 500)]))
    at = data.rfind(b"b.ipynb", 0, data.find(b"PK\x01\x02")) + len("b.ipynb")
    data[at] ^= 0xFF
    assert "damaged" in refusal(written(tmp_path, "a.zip", bytes(data)), into)


def test_a_zip_bomb_is_refused_while_it_unpacks(tmp_path, into, monkeypatch):
    monkeypatch.setattr(module, "BOMB_BYTES", 2 * 1024**2)
    path = handed_in(tmp_path, [("a.ipynb", b"0" * (5 * 1024**2))])
    assert "bomb" in refusal(path, into)


def test_the_total_is_counted_and_not_believed(tmp_path, into, monkeypatch):
    monkeypatch.setattr(module, "MAX_TOTAL_BYTES", 3 * 1024**2)
    path = handed_in(tmp_path, [(f"{n}.py", os.urandom(1024**2)) for n in range(4)])
    assert "unpacks to more than 3 MiB" in refusal(path, into)


def test_more_entries_than_allowed_refuse_the_zip(tmp_path, into, monkeypatch):
    monkeypatch.setattr(module, "MAX_ENTRIES", 10)
    path = handed_in(tmp_path, [(f"{n}.py", b"") for n in range(11)])
    assert "more than 10 files" in refusal(path, into)


def test_a_table_of_contents_of_a_million_entries_is_not_read(tmp_path, into):
    entry = struct.pack(
        "<4s6H3L5H2L", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0
    )
    table = (entry + b"a") * 100_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(table), 0, 0)
    path = written(tmp_path, "many.zip", b"" + table + end)
    assert "files" in refusal(path, into)


def test_an_empty_zip_is_refused(tmp_path, into):
    assert "empty zip" in refusal(written(tmp_path, "a.zip", zipped([])), into)


def test_a_damaged_zip_in_a_folder_is_refused_as_it_is_by_itself(tmp_path, into):
    folder = tmp_path / "Anna Meier_7_assignsubmission_file"
    folder.mkdir()
    (folder / "work.zip").write_bytes(b"PK\x03\x04 cut off")
    said = refusal(folder, into)
    assert said == "work.zip is damaged or cut off: zip it again and upload it whole"
    assert refusal(folder / "work.zip", into) == said


def test_a_zip_without_notebooks_is_refused_and_says_what_it_holds(tmp_path, into):
    path = handed_in(tmp_path, [("report.pdf", b""), ("pic.png", b"")])
    assert refusal(path, into) == ("work.zip holds no .ipynb or .py: it holds pic.png, report.pdf")


@pytest.mark.parametrize(
    ("name", "data", "what"),
    [
        ("a.rar", b"Rar!\x1a\x07\x01\x00", "RAR"),
        ("a.7z", b"7z\xbc\xaf\x27\x1c", "7-Zip"),
        ("a.tar.gz", b"\x1f\x8b\x08", "gzip"),
        ("a.zip", b"Rar!\x1a\x07\x01\x00", "RAR"),
        ("a.pdf", b"%PDF-1.7", "PDF"),
    ],
)
def test_other_archives_are_named_and_refused(tmp_path, into, name, data, what):
    line = refusal(written(tmp_path, name, data), into)
    assert what in line
    assert "hand in a .zip" in line


def test_an_empty_file_a_missing_file_and_an_empty_folder_are_refused(tmp_path, into):
    assert "empty" in refusal(written(tmp_path, "a.zip", b""), into)
    assert "no such file" in refusal(tmp_path / "missing.zip", into)
    (tmp_path / "nothing").mkdir()
    assert "it is empty" in refusal(tmp_path / "nothing", into)


def test_characters_that_deceive_readers_are_taken_out_of_names(tmp_path, into):
    path = handed_in(tmp_path, [("a\u202egnp.ipynb", NOTEBOOK), ("b\x1b[2J.py", b"")])
    assert names(open_submission(path, into)) == ["a_gnp.ipynb", "b_[2J.py"]


@given(st.binary(max_size=400))
def test_random_bytes_are_refused_in_one_line(data):
    with fresh_folder() as folder:
        path = written(folder, "a.zip", b"PK\x03\x04" + data)
        assert refusal(path, folder / "into")


GOOD = zipped([("a.ipynb", NOTEBOOK), ("pw/b.py", b"x = 1\n" * 50), ("pw/c.txt", b"text")])


@given(
    st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=8)
)
def test_a_zip_with_flipped_bytes_is_read_or_refused_and_writes_nothing_elsewhere(flips):
    data = bytearray(GOOD)
    for position, value in flips:
        data[position] = value
    read_or_refused(bytes(data))


PARTS = st.sampled_from(
    ["..", ".", "", "a", "A", "b.ipynb", "B.IPYNB", "c.py", "é", "e\u0301", "con", "~", "C:", "\\",
     "a\\..", "\x00", "\n", "\u202e", "__MACOSX", ".git", "x" * 260, "inner.zip"]
)  # fmt: skip
ENTRIES = st.tuples(
    st.lists(PARTS, min_size=1, max_size=4).map("/".join) | st.text(max_size=12),
    st.sampled_from([b"", NOTEBOOK, b"../../../x", GOOD, b"\x00" * 50_000]),
    st.sampled_from(
        [stat.S_IFREG, stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK, 0]
    ),
    st.integers(0, 0xFFFF),
)


@given(st.lists(ENTRIES, min_size=1, max_size=5), st.binary(max_size=3))
def test_a_zip_of_whatever_names_and_kinds_writes_plain_files_into_its_folder(entries, rest):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, data, kind, mode in entries:
            info = zipfile.ZipInfo("placeholder")
            info.filename = name  # the constructor would cut it at a zero
            info.external_attr = (kind | 0o7777 & mode) << 16 | mode & 0x10
            archive.writestr(info, data)
    read_or_refused(stream.getvalue() + rest)


def read_or_refused(data):
    """Open these bytes as a submission; nothing is written but plain files into its own folder."""
    with fresh_folder() as folder:
        into = folder / "into"
        path = written(folder, "a.zip", data)
        try:
            submission = open_submission(path, into)
        except SubmissionError as error:
            assert "\n" not in str(error)
            assert list(into.iterdir()) == []
        else:
            assert all((into / file).is_file() for file in submission.files)
        for entry in into.rglob("*"):
            assert stat.S_IFMT(entry.lstat().st_mode) in (stat.S_IFREG, stat.S_IFDIR)
        assert sorted(entry.name for entry in folder.iterdir()) == ["a.zip", "into"]


@contextlib.contextmanager
def fresh_folder():
    """A folder with an empty one, `into`, in it."""
    with tempfile.TemporaryDirectory() as name:
        Path(name, "into").mkdir()
        yield Path(name)


# --- who handed in --------------------------------------------------------------------------


def test_the_students_of_a_platforms_folder_are_those_of_the_zip_in_it(tmp_path, into):
    folder = tmp_path / "Jane Doe_77_assignsubmission_file_"
    folder.mkdir()
    written(folder, "Doe_Jane- Roe_Rick.zip", zipped([("a.ipynb", NOTEBOOK)]))
    assert open_submission(folder, into).students == ("Jane Doe", "Rick Roe")


# --- one or many ------------------------------------------------------------------------------


def test_a_folder_with_notebooks_is_one_submission(tmp_path):
    written(tmp_path, "a.ipynb", NOTEBOOK)
    written(tmp_path, "b.ipynb", NOTEBOOK)
    assert find_submissions([tmp_path]) == [tmp_path]


def test_a_folder_of_zips_and_folders_is_a_class(tmp_path):
    for name in ("pw10.zip", "pw2.zip"):
        written(tmp_path, name, zipped([("a.ipynb", NOTEBOOK)]))
    (tmp_path / "team").mkdir()
    written(tmp_path / "team", "a.ipynb", NOTEBOOK)
    (tmp_path / "empty").mkdir()
    found = find_submissions([tmp_path])
    assert [path.name for path in found] == ["pw2.zip", "pw10.zip", "team"]


def test_a_path_named_twice_is_graded_once_and_a_missing_one_is_kept(tmp_path):
    path = written(tmp_path, "a.zip", b"")
    missing = tmp_path / "b.zip"
    assert find_submissions([path, tmp_path / "." / "a.zip", missing]) == [path, missing]


def test_what_lies_in_a_class_and_is_no_submission_is_named(tmp_path):
    for name in ("a.zip", "Paul.pdf", "Rita.rar", "scores.json", ".DS_Store"):
        (tmp_path / name).write_bytes(b"")
    for name, file in (("Max", "report.pdf"), ("pages", "index.html"), ("Bea", "x.ipynb")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_bytes(b"")
    assert passed_over(tmp_path) == ["Max", "Paul.pdf", "Rita.rar"]
    assert passed_over(tmp_path / "Max") == passed_over(tmp_path / "a.zip") == []


def test_a_platforms_folder_without_work_is_a_submission_to_refuse(tmp_path):
    for name, kind, file in (
        ("Ann Meier_3", "file", "x.ipynb"),
        ("Ann Meier_3", "onlinetext", "onlinetext.html"),
        ("Cem Celik_4", "file", "report.pdf"),
        ("Cem Celik_4", "onlinetext", "onlinetext.html"),
    ):
        folder = tmp_path / f"{name}_assignsubmission_{kind}_"
        folder.mkdir()
        (folder / file).write_bytes(b"")
    found = find_parts([tmp_path], tmp_path / "scratch")
    assert [part.path.name for part in found.parts] == [
        "Ann Meier_3_assignsubmission_file_",
        "Cem Celik_4_assignsubmission_file_",
    ]
    assert found.remarks == ()


def test_an_empty_folder_is_itself_a_submission_to_refuse(tmp_path):
    assert find_submissions([Path(tmp_path)]) == [tmp_path]


def test_a_disk_that_refuses_to_be_written_is_no_fault_of_the_archive(tmp_path, monkeypatch):
    archive = tmp_path / "a_b.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.writestr("a.ipynb", "{}")
    into = tmp_path / "into"
    into.mkdir()
    open_path = Path.open

    class Full(io.FileIO):
        def write(self, data):
            raise OSError(errno.EIO, "Input/output error")

    def opened(self, mode="r", *args, **options):
        return Full(self, "xb") if mode == "xb" else open_path(self, mode, *args, **options)

    monkeypatch.setattr(Path, "open", opened)
    with pytest.raises(GraderFault, match=r"a\.ipynb can't be unpacked: input/output error"):
        open_submission(archive, into)
