"""One zip that a learning platform made of a whole class: each student is a submission."""

import io
import json
import zipfile
from pathlib import Path

import pytest

from grader.submission import find_submissions, open_submission, split_folder, split_zip
from grader.submission.students import students_of

from .conftest import SUM, notebook


def zip_of(files):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


RIGHT, WRONG = notebook(more="who = 1"), notebook(more="who = 2", **SUM)
MOODLE = {
    "Anna Meier_1234_assignsubmission_file_/toy.ipynb": RIGHT,
    "Anna Meier_1234_assignsubmission_file_/data/points.csv": "1,2",
    "Anna Meier_1234_assignsubmission_onlinetext_/onlinetext.html": "<p>done</p>",
    "Bo Çelik_77_assignsubmission_file_/Celik_Bo- Roe_Rick.zip": zip_of({"toy.ipynb": WRONG}),
    "Cem Öz_5_assignsubmission_file_/report.pdf": b"%PDF",
}
MOODLE_FLAT = {
    "Anna Meier_1234_assignsubmission_file_toy.ipynb": RIGHT,
    "Bo Celik_77_assignsubmission_file_Celik_Bo- Roe_Rick.zip": zip_of({"toy.ipynb": WRONG}),
}
CANVAS = {
    "meieranna_4021_99812_toy.ipynb": RIGHT,
    "meieranna_LATE_4021_99813_points.csv": "1,2",
    "celikbo_4022_99900_Celik_Bo- Roe_Rick.zip": zip_of({"toy.ipynb": WRONG}),
}
BLACKBOARD = {
    "Toy_am12_attempt_2026-11-20-10-11-12_toy.ipynb": RIGHT,
    "Toy_am12_attempt_2026-11-20-10-11-12.txt": "Name: Anna Meier (am12)",
    "Toy_bc34_attempt_2026-11-20-09-00-00_Celik_Bo- Roe_Rick.zip": zip_of({"toy.ipynb": WRONG}),
}


@pytest.fixture
def parts(tmp_path):
    """parts(files) -> what an export of these files is taken for."""

    def unpack(files, name="export.zip"):
        path = tmp_path / name
        path.write_bytes(zip_of(files))
        return list(split_zip(path, tmp_path / "parts").parts)

    return unpack


def opened(part, into):
    into.mkdir(parents=True)
    return open_submission(part.path, into)


@pytest.mark.parametrize(
    ("files", "students"),
    [
        (MOODLE, [("Anna Meier",), ("Bo Celik", "Rick Roe")]),
        (MOODLE_FLAT, [("Anna Meier",), ("Bo Celik", "Rick Roe")]),
        (CANVAS, [("Bo Celik", "Rick Roe"), ("meieranna",)]),
        (BLACKBOARD, [("am12",), ("Bo Celik", "Rick Roe")]),
        ({f"Homework 1/{name}": file for name, file in MOODLE_FLAT.items()},
         [("Anna Meier",), ("Bo Celik", "Rick Roe")]),
    ],
    ids=["Moodle, folders", "Moodle", "Canvas", "Blackboard", "a folder around all"],
)  # fmt: skip
def test_an_export_is_one_submission_a_student(parts, tmp_path, files, students):
    found = [part for part in parts(files) if "Cem" not in part.shown]
    submissions = [opened(part, tmp_path / "in" / str(n)) for n, part in enumerate(found)]
    assert [submission.students for submission in submissions] == students
    assert all(len(submission.files) == 1 for submission in submissions)


@pytest.mark.parametrize("files", [CANVAS, BLACKBOARD, MOODLE_FLAT])
def test_it_may_lie_unpacked_in_a_folder(parts, tmp_path, files):
    folder = tmp_path / "export"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)
    assert find_submissions([folder]) == [folder]
    found = list(split_folder(folder, tmp_path / "unpacked").parts)
    zipped = parts(files)
    for n, (one, other) in enumerate(zip(found, zipped, strict=True)):
        there = opened(one, tmp_path / f"a{n}"), opened(other, tmp_path / f"b{n}")
        assert there[0].students == there[1].students
        assert len(there[0].files) == len(there[1].files) == 1
    assert {part.path.parent for part in found if part.path.is_file()} == {folder}


def test_a_folder_of_one_s_own_files_is_one_submission(tmp_path):
    (tmp_path / "toy.ipynb").write_text(RIGHT)
    (tmp_path / "meieranna_4021_99812_other.ipynb").write_text(RIGHT)
    assert list(split_folder(tmp_path, tmp_path / "unpacked").parts) == []


def test_who_handed_in_no_notebook_is_not_forgotten(parts):
    (cem,) = (part for part in parts(MOODLE) if "Cem" in part.shown)
    assert cem.shown.endswith("export.zip/Cem Öz_5_assignsubmission_file_")
    assert students_of(cem.path.name) == ("Cem Öz",)
    assert [file.name for file in cem.path.iterdir()] == ["report.pdf"]


def test_who_handed_in_a_rar_is_not_forgotten_in_a_zip_of_students_names(parts):
    files = {f"{name}.ipynb": RIGHT for name in ("Meier_Anna", "Rossi_Luca", "Smith_Bob")}
    more = {
        "Li_Bo.rar": b"Rar!",
        "Li_Cem/report.pdf": b"%PDF",
        "Meier_Anna.pdf": b"%PDF",
        "Li_Dan.csv": b"",
    }
    names = [Path(part.shown).name for part in parts(files | more)]
    assert names == ["Li_Bo.rar", "Li_Cem", *files]


@pytest.mark.parametrize("around", ["", "Homework 1/"])
def test_a_zip_of_people_s_folders_is_a_class(parts, around):
    files = {f"{around}{name}/toy.ipynb": RIGHT for name in ("Anna Li", "Bo Roe", "Eve Ng")}
    found = parts(files | {f"{around}Cem Öz/report.pdf": b"%PDF"})
    assert [Path(part.shown).name for part in found] == ["Anna Li", "Bo Roe", "Cem Öz", "Eve Ng"]
    own = {f"{around}{name}/toy.ipynb": RIGHT for name in ("Part One", "Part Two", "Final Work")}
    assert parts(own, "own.zip") == []


@pytest.mark.parametrize("around", ["", "Homework 1/"])
def test_a_zip_of_students_zips_is_a_class(parts, around):
    names = ("Li_Bo", "Meier_Anna", "Rossi_Luca")
    found = parts({f"{around}{name}.zip": zip_of({"toy.ipynb": RIGHT}) for name in names})
    assert [Path(part.shown).stem for part in found] == list(names)
    own = {f"part {n}.zip": zip_of({"toy.ipynb": RIGHT}) for n in range(4)}
    assert parts(own, "own.zip") == []


def test_files_that_a_student_handed_in_one_by_one_lie_in_one_folder_by_their_own_names(parts):
    anna = next(part for part in parts(CANVAS) if "anna" in part.shown)
    assert {file.name for file in anna.path.iterdir()} == {"toy.ipynb", "points.csv"}


@pytest.mark.parametrize(
    "files",
    [
        {"toy.ipynb": RIGHT},
        {"part_one/toy.ipynb": RIGHT, "part_two/toy.ipynb": RIGHT},
        MOODLE_FLAT | {"../Eve Roe_9_assignsubmission_file_toy.ipynb": RIGHT},
        {},
    ],
)
def test_another_zip_is_one_submission(parts, files):
    assert parts(files) == []


def test_what_is_wrong_with_one_part_costs_the_others_nothing(parts, monkeypatch):
    monkeypatch.setattr("grader.submission.archive.BOMB_BYTES", 1 << 20)
    bomb = {"Eve Roe_9_assignsubmission_file_/toy.ipynb": bytes(2 << 20)}
    found = {students_of(part.path.name)[0]: part.problem for part in parts(MOODLE | bomb)}
    assert "zip bomb" in found.pop("Eve Roe")
    assert set(found.values()) == {""}


def test_an_export_among_submissions_is_not_split(tmp_path):
    """A student may make such a zip, and write other names into it."""
    for name in ("Meier_Anna.zip", "Roe_Eve.zip"):
        (tmp_path / name).write_bytes(zip_of(MOODLE))
    found = find_submissions([tmp_path])
    assert [path.name for path in found] == ["Meier_Anna.zip", "Roe_Eve.zip"]


@pytest.mark.parametrize("handed_in", [b"%PDF-1.7", b"PK cut off"])
def test_who_is_refused_has_the_platform_s_name(klass, handed_in):
    export = klass.root / "export.zip"
    export.write_bytes(
        zip_of({"meieranna_1_21_toy.ipynb": RIGHT, "roeeve_LATE_2_22_work.zip": handed_in})
    )
    report, _ = klass.grade(paths=[export])
    found = json.loads(report)["submissions"]
    assert [(s["status"], s["students"]) for s in found] == [
        ("graded", ["meieranna"]), ("refused", ["roeeve"])
    ]  # fmt: skip


def test_an_export_is_graded_as_its_unpacked_folder_would_be(klass, without_times):
    export = klass.root / "Toy-1234.zip"
    export.write_bytes(zip_of(MOODLE))
    folder = klass.root / "unpacked"
    with zipfile.ZipFile(export) as archive:
        archive.extractall(folder)
    report, _ = klass.grade("--jobs", "2", paths=[export])
    expected, _ = klass.grade("--jobs", "1", "--regrade", paths=[folder])
    found = json.loads(report)["submissions"]
    assert [(s["status"], s["score"]) for s in found] == [
        ("graded", 6.0), ("graded", 2.0), ("refused", None)
    ]  # fmt: skip
    assert found[2]["message"].endswith("holds no .ipynb or .py: it holds report.pdf")
    assert [s["path"] for s in found] == [
        f"{export}/{who}_assignsubmission_file_"
        for who in ("Anna Meier_1234", "Bo Çelik_77", "Cem Öz_5")
    ]
    same = without_times(report).replace(f"{export}/", f"{folder}/")
    assert json.loads(same)["submissions"] == json.loads(without_times(expected))["submissions"]
    again, err = klass.grade("--jobs", "2", paths=[export])
    assert without_times(again) == without_times(report)
    assert err.count("kept from an earlier run") == 2
