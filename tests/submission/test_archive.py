"""What goes into a submission's folder from an archive: within limits, under clean names."""

import io
import unicodedata
import zipfile
from pathlib import Path, PurePosixPath

import pytest

from grader.errors import GraderFault, SubmissionError
from grader.submission import archive as module
from grader.submission.archive import (
    Bounded,
    Box,
    Budget,
    TooManyEntries,
    decoded_name,
    open_inner_zips,
    safe_target,
    unpack,
)


@pytest.fixture
def box(tmp_path):
    return Box(tmp_path)


def zipped(*entries):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data)
    stream.seek(0)
    return stream


def put(box, name, data=b"x", **options):
    return box.write(PurePosixPath(name), io.BytesIO(data), source="a.zip", **options)


def kinds(box):
    return [note.kind for note in box.notes]


# --- the box ------------------------------------------------------------------------------------


def test_a_file_is_written_whole_whatever_the_disk_takes_at_once(box, monkeypatch):
    class Slow(io.FileIO):
        def write(self, data):
            return super().write(bytes(data[:3]))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda self, mode, buffering: Slow(self, mode))
        assert put(box, "a/b.txt", b"0123456789") is True
    assert (box.folder / "a" / "b.txt").read_bytes() == b"0123456789"
    assert box.total == 10


@pytest.mark.parametrize(
    ("first", "second"),
    [("a.ipynb", "A.IPYNB"), ("é", "e\N{COMBINING ACUTE ACCENT}"), ("a", "a/b"), ("a/b", "a"),
     ("a/b/c", "A"), ("a/b", "a/B/c")],
)  # fmt: skip
def test_a_name_that_a_file_system_may_take_for_another_is_written_once(box, first, second):
    assert put(box, first)
    assert put(box, second, b"other") is False
    assert kinds(box) == ["duplicate_name"]
    assert box.notes[0].message == f"{second}: the name comes twice; the first one counts"
    assert len([p for p in box.folder.rglob("*") if p.is_file()]) == 1


def test_files_share_a_folder_and_a_folder_may_hold_the_name_of_another(box):
    assert all(put(box, name) for name in ("a/b", "a/c", "c/a", "ab", "a/d/e"))
    assert kinds(box) == []


def test_twenty_notes_are_enough(box):
    for n in range(25):
        box.note("ignored_file", f"{n} is a link")
    assert len(box.notes) == 20
    assert box.notes[19].message == "19 is a link"


def test_as_many_files_as_are_allowed_are_counted_and_no_more(box, monkeypatch):
    monkeypatch.setattr(module, "MAX_ENTRIES", 2)
    box.count("a.zip")
    box.count("a.zip")
    with pytest.raises(SubmissionError, match=r"^a\.zip holds more than 2 files: leave out"):
        box.count("a.zip")


def test_the_bytes_of_a_submission_have_a_limit(box, monkeypatch):
    monkeypatch.setattr(module, "MAX_TOTAL_BYTES", 10)
    put(box, "a", bytes(6))
    put(box, "b", bytes(4))
    with pytest.raises(SubmissionError, match=r"^a\.zip unpacks to more than 0 MiB: leave out"):
        put(box, "c", b"1")


def test_what_grows_beyond_a_size_and_a_factor_is_a_bomb(box, monkeypatch):
    monkeypatch.setattr(module, "BOMB_BYTES", 100)
    monkeypatch.setattr(module, "CHUNK", 10)
    put(box, "small", bytes(100), packed=0)
    put(box, "unpacked", bytes(1000))
    put(box, "grown", bytes(400), packed=2)
    put(box, "grown by no more than text", bytes(100), packed=1)
    with pytest.raises(SubmissionError, match=r"^a\.zip: bomb unpacks to over 200 times its size"):
        put(box, "bomb", bytes(410), packed=2)


def test_the_submissions_of_one_export_share_a_budget(tmp_path):
    budget = Budget(10)
    for name in ("one", "two"):
        put(Box(tmp_path / name, budget), "a", bytes(5))
    assert budget.left == 0
    with pytest.raises(SubmissionError) as refused:
        put(Box(tmp_path / "three", budget), "a", b"1")
    assert str(refused.value) == (
        "a.zip: the whole export unpacks to over 30 times its size, as a zip bomb does, so this is "
        "not unpacked: look who handed in what is so large"
    )


def test_the_budget_of_an_export_grows_with_its_size():
    assert Budget.of_export(100).left == 512 * 1024**2
    assert Budget.of_export(1024**3).left == 30 * 1024**3


def test_a_name_too_long_for_the_disk_damages_the_submission_not_the_grader(box):
    with pytest.raises(OSError, match="too long"):
        put(box, "x" * 300)
    with pytest.raises(SubmissionError, match=r"holds a name of over 200 bytes: shorten it$"):
        safe_target("x" * 201, "a.zip")
    assert safe_target("x" * 200, "a.zip") == PurePosixPath("x" * 200)


def test_a_disk_that_refuses_is_the_graders_machine(box, monkeypatch):
    def refused(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refused)
    with pytest.raises(GraderFault, match=r"^c\.txt can't be unpacked: permission denied$"):
        put(box, "a/c.txt")


# --- bounded reading ----------------------------------------------------------------------------


def test_no_read_is_larger_than_the_limit():
    stream = Bounded(io.BytesIO(bytes(10)), 10)
    assert len(stream.read()) == 10
    stream.seek(0)
    assert len(stream.read(10)) == 10
    assert stream.tell() == 10
    assert stream.seek(-4, io.SEEK_END) == 6
    assert len(stream.read(None)) == 4
    stream.seek(0)
    with pytest.raises(TooManyEntries):
        stream.read(11)
    assert stream.readable() and stream.seekable()


@pytest.mark.parametrize("size", [None, -1])
def test_a_read_of_all_stops_at_the_limit(size):
    asked = []

    class Claims(io.BytesIO):
        def read(self, size):
            asked.append(size)
            return super().read(size)

    with pytest.raises(TooManyEntries):
        Bounded(Claims(bytes(100)), 10).read(size)
    assert asked == [11]


# --- unpacking ----------------------------------------------------------------------------------


def unpacked(box, stream, under=""):
    unpack(box, stream, "a.zip", PurePosixPath(under))
    return sorted(p.relative_to(box.folder).as_posix() for p in box.folder.rglob("*.*"))


def test_each_entry_is_counted_and_lies_below_the_folder_that_is_named(box):
    assert unpacked(box, zipped(("a.py", "1"), ("b/c.py", "22")), "inner") == [
        "inner/a.py", "inner/b/c.py",
    ]  # fmt: skip
    assert (box.entries, box.total) == (2, 3)


def test_one_entry_more_than_allowed_refuses_the_zip(box, monkeypatch):
    monkeypatch.setattr(module, "MAX_ENTRIES", 2)
    assert unpacked(box, zipped(("a.py", ""), ("b.py", ""))) == ["a.py", "b.py"]
    with pytest.raises(SubmissionError, match=r"^a\.zip holds more than 2 files: leave out env"):
        unpacked(box, zipped(("a.py", ""), ("b.py", ""), ("c.py", "")))


def test_a_folder_that_is_written_over_a_file_is_told_and_the_rest_goes_on(box):
    (box.folder / "a").write_text("came by another way")
    assert unpacked(box, zipped(("a/b.py", "1"), ("c.py", "2"))) == ["c.py"]
    assert kinds(box) == ["duplicate_name"]
    assert box.notes[0].message == "a/b.py: the name comes twice; the first one counts"


def test_what_the_entry_takes_in_the_zip_decides_over_a_bomb(box, monkeypatch):
    monkeypatch.setattr(module, "BOMB_BYTES", 0)
    monkeypatch.setattr(module, "BOMB_RATIO", 3)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("plain.txt", bytes(900))
    stream.seek(0)
    assert unpacked(box, stream) == ["plain.txt"]
    with pytest.raises(SubmissionError, match=r"^a\.zip: zeros\.txt unpacks to over 3 times"):
        unpacked(box, zipped(("zeros.txt", bytes(9000))))


def test_the_export_that_a_zip_came_from_is_named_when_its_budget_is_spent(tmp_path):
    box = Box(tmp_path, Budget(1))
    with pytest.raises(SubmissionError, match=r"^a\.zip: the whole export unpacks"):
        unpacked(box, zipped(("a.py", "12")))


# --- zips inside --------------------------------------------------------------------------------


def inside(box, name, data):
    path = box.folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def test_a_zip_with_work_is_opened_beside_itself_and_one_with_data_is_not(box):
    inside(box, "a/work.ZIP", zipped(("n.ipynb", "{}")).read())
    inside(box, "images.zip", zipped(("one.png", "")).read())
    inside(box, "windows.zip", zipped(("deep\\x.py", "")).read())
    inside(box, "environment.zip", zipped(("venv\\x.py", "")).read())
    (box.folder / "folder.zip").mkdir()
    assert open_inner_zips(box) == ["work.ZIP", "windows.zip"]
    assert (box.folder / "a" / "work" / "n.ipynb").read_text() == "{}"
    assert (box.folder / "windows" / "deep" / "x.py").is_file()
    assert kinds(box) == []


def test_a_zip_inside_that_is_damaged_is_told_and_the_next_one_opened(box):
    inside(box, "a.zip", b"PK not really")
    inside(box, "b.zip", zipped(("n.ipynb", "{}")).read())
    assert open_inner_zips(box) == ["b.zip"]
    assert [(note.kind, note.message) for note in box.notes] == [
        ("ignored_file", "a.zip, a zip inside, can't be read")
    ]


# --- names --------------------------------------------------------------------------------------


def entry(raw, *, flagged=False):
    made = zipfile.ZipInfo("x")
    made.filename = raw if flagged else raw.decode("cp437")
    made.flag_bits = 0x800 if flagged else 0
    return made


@pytest.mark.parametrize("encoding", ["utf-8", "cp437", "cp1252"])
@pytest.mark.parametrize("name", ["Zoë Müller.ipynb", "élève.py", "Größe.zip", "plain.py"])
def test_a_name_is_read_in_the_encoding_that_gives_letters(name, encoding):
    assert decoded_name(entry(name.encode(encoding))) == name


def test_what_windows_own_page_does_not_have_is_read_all_the_same():
    # 0x81 is no letter of cp1252: cp437 has it, and latin-1 takes every byte.
    assert decoded_name(entry("ü.py".encode("cp437"))) == "ü.py"
    assert decoded_name(entry("É.py".encode("cp1252"))) == "É.py"


@pytest.mark.parametrize("flagged", [True, False])
def test_names_of_macos_are_composed(flagged):
    apart = unicodedata.normalize("NFD", "Zoë.ipynb")
    raw = apart if flagged else apart.encode()
    assert decoded_name(entry(raw, flagged=flagged)) == "Zoë.ipynb"


def test_a_name_that_is_no_code_page_stays_and_is_composed():
    made = zipfile.ZipInfo("x")
    made.filename = unicodedata.normalize("NFD", "Łukasz Żółć")
    assert decoded_name(made) == "Łukasz Żółć"


@pytest.mark.parametrize(
    ("name", "target"),
    [("./a//b.py", "a/b.py"), ("a\\b.py", "a/b.py"), ("", None), ("./", None),
     ("aC:b", "aC:b"), ("/".join("a" * 12), "/".join("a" * 12))],
)  # fmt: skip
def test_a_name_is_cleaned(name, target):
    found = safe_target(name, "a.zip")
    assert (None if found is None else found.as_posix()) == target


@pytest.mark.parametrize("name", ["/etc/x", "\\x", "C:\\x", "z:x", "a/../b", "..", "a\\..\\b"])
def test_a_name_that_leads_elsewhere_refuses_the_zip(name):
    with pytest.raises(SubmissionError, match=r"^a\.zip holds a name that leads outside"):
        safe_target(name, "a.zip")


def test_of_a_long_name_that_leads_elsewhere_80_characters_are_told():
    with pytest.raises(SubmissionError) as refused:
        safe_target("/" + "x" * 200, "a.zip")
    assert str(refused.value).count("x") == 78  # after them stands a sign that more follows


def test_a_zip_that_is_nested_too_deep_is_refused():
    with pytest.raises(SubmissionError, match=r"^a\.zip is nested over 12 folders deep: zip it fl"):
        safe_target("/".join("a" * 13), "a.zip")
