"""`grade results --marks`: what a person said is in every report."""

import csv
import json

import pytest

from grader.cli import gradebook
from grader.cli.commands import run

from .conftest import result_of

SHEET = (
    'Identifier,"Full name",Grade,"Maximum grade","Feedback comments"\r\n'
    '"Participant 1","Anna Meier",,9.00,\r\n"Participant 2","Luca Rossi",,9.00,\r\n'
)


@pytest.fixture
def grade(klass, monkeypatch, tmp_path):
    """grade(*options) -> exit code of `grade results latest`, over a class of two."""
    made = klass(2)
    monkeypatch.setenv("GRADE_RESULTS", str(made.file))
    monkeypatch.chdir(tmp_path)
    return lambda *options: run(["results", "latest", *map(str, options)])


@pytest.fixture
def filled(tmp_path):
    file = tmp_path / "marks.csv"
    file.write_text(
        "student,exercise,rubric item,points,comment\n"
        "Anna Meier,2-words,says why,3,\nAnna Meier,2-words,,,Where does the 2 come from?\n"
    )
    return file


def test_a_file_that_is_not_there_is_written_to_be_filled_in(grade, tmp_path, capsys):
    assert grade("--marks", "marks.csv") == 0
    assert "fill in points" in capsys.readouterr().err
    assert "Anna Meier" in (tmp_path / "marks.csv").read_text("utf-8-sig")


def test_marks_are_in_the_json_with_a_final_score_where_nothing_is_open(grade, filled, tmp_path):
    assert grade("--marks", filled, "--json", "r.json") == 0
    one, other = json.loads((tmp_path / "r.json").read_text())["submissions"]
    assert (one["score"], one["max_score"], one["final"]) == (7.0, 9.0, True)
    assert (other["score"], other["max_score"], other["final"]) == (4.0, 4.0, False)
    judged = one["exercises"][1]["judgement"]
    assert judged["items"] == [{"words": "says why", "points": 3.0, "applies": True}]
    assert judged["comment"] == "Where does the 2 come from?"


def test_marks_are_at_the_terminal_on_pages_in_junit_and_in_the_table(
    grade, filled, tmp_path, capsys
):
    assert grade("--marks", filled, "--html", "pages", "--junit", "r.xml") == 0
    assert "Where does the 2 come from?" in capsys.readouterr().out
    page = (tmp_path / "pages" / "Anna_Meier.html").read_text()
    assert "Where does the 2 come from?" in page
    assert "Answer 0" in page  # the evidence is still there
    assert "Where does the 2" in (tmp_path / "r.xml").read_text()
    assert grade("--csv", "t.csv") == 0
    rows = list(csv.DictReader((tmp_path / "t.csv").read_text("utf-8-sig").splitlines()))
    assert [(r["points"], r["2-words"], r["open points"]) for r in rows] == [
        ("7", "3", "0"), ("4", "", "5"),
    ]  # fmt: skip


def test_marks_are_in_the_worksheet_and_on_the_page_for_the_student(grade, filled, tmp_path):
    (tmp_path / "sheet.csv").write_text(SHEET, newline="")
    options = ("--fill", "sheet.csv", "--feedback", "folder", "--to", "out")
    assert grade("--marks", filled, *options) == 0
    assert '"Anna Meier",7.00' in (tmp_path / "sheet-graded.csv").read_text()
    (page,) = (tmp_path / "out").glob("Anna*/*.html")
    assert "Where does the 2 come from?" in page.read_text()


def test_marks_stay_without_the_file(grade, filled, tmp_path):
    grade("--marks", filled)
    filled.unlink()
    assert grade("--json", "r.json") == 0
    assert json.loads((tmp_path / "r.json").read_text())["submissions"][0]["score"] == 7.0


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xff\xfe", "is not UTF-8"),
        (b"a,b\n", "lacks the column 'student'"),
        (b"student,exercise,rubric item,points,comment\nX,2-words,,1,\n", "no submission of X"),
    ],
)
def test_a_wrong_file_is_told_in_one_line(grade, filled, capsys, content, told):
    filled.write_bytes(content)
    assert grade("--marks", filled) == 2
    said = capsys.readouterr().err
    assert told in said
    assert len(said.strip().splitlines()) == 1


def test_marks_go_with_one_whole_run(grade, filled, capsys):
    assert grade("--marks", filled, "--student", "Anna") == 2
    assert run(["results", "--marks", str(filled)]) == 2
    assert "Which run?" in capsys.readouterr().err


def test_forgetting_a_run_keeps_the_marks_of_who_is_in_another(grade, filled, klass, tmp_path):
    grade("--marks", filled)
    made = klass(2)  # graded again, and looked at by nobody yet
    with made.store.writing():
        made.store.connection.execute("DELETE FROM answers WHERE run = 2")
    assert run(["results", "1", "--forget"]) == 0
    assert grade("--json", "r.json") == 0
    assert json.loads((tmp_path / "r.json").read_text())["submissions"][0]["score"] == 7.0


def test_a_student_s_text_in_the_marks_is_no_formula_for_a_spreadsheet(
    empty, monkeypatch, tmp_path
):
    empty.grade(result_of(0, name="=HYPERLINK(1)", path="+cmd.zip"))
    monkeypatch.setenv("GRADE_RESULTS", str(empty.file))
    monkeypatch.chdir(tmp_path)
    assert run(["results", "latest", "--marks", "marks.csv"]) == 0
    assert run(["results", "latest", "--marks", "marks.csv"]) == 0  # it is read back
    (row,) = csv.reader((tmp_path / "marks.csv").read_text("utf-8-sig").splitlines()[1:])
    assert row[:2] == ["'=HYPERLINK(1)", "'+cmd.zip"]


def test_a_worksheet_with_open_points_is_said_not_to_be_final(grade, filled, tmp_path, capsys):
    assert grade("--marks", filled) == 0
    (tmp_path / "sheet.csv").write_text(SHEET, newline="")
    capsys.readouterr()
    assert grade("--fill", "sheet.csv") == 0
    said = capsys.readouterr().err
    assert "1 filled in, but not final: a person has yet to give points: Luca Rossi (5)" in said


def test_a_long_list_of_students_has_a_line_for_each_and_no_name_is_cut(capsys):
    names = [f"Student {number}: {'x' * 80}" for number in range(21)]
    gradebook.tell("lost", names)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "grade: 21 lost:" and lines[-1] == "  and 1 more"
    assert [line.strip() for line in lines[1:-1]] == names[:20]
    gradebook.tell("lost", ["Ann", "Ben"])
    assert capsys.readouterr().err == "grade: 2 lost: Ann, Ben\n"
