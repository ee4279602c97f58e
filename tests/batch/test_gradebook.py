"""From a platform's export to its own worksheet, by the whole command."""

import contextlib
import csv
import io
import json
import os
import subprocess
import sys
import zipfile

import pytest

from .conftest import SUM, notebook

PEOPLE = {1001: "Anna Meier", 1002: "Luca Rossi", 1003: "Luca Rossi", 1004: "Łukasz Żółć"}
SHEET = (
    'Identifier,"Full name","Email address",Status,Grade,"Maximum grade","Grade can be changed",'
    '"Last modified (submission)","Last modified (grade)","Feedback comments"\r\n'
    + "".join(
        f'"Participant {n}","{name}",p{n}@example.org,Submitted,,6.00,Yes,-,-,\r\n'
        for n, name in (PEOPLE | {1005: "Nobody Here"}).items()
    )
)


def export_of(files):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


@pytest.fixture
def course(klass):
    """An export that was graded: Anna wrong, one Luca and Łukasz right, the other Luca a PDF."""
    same = notebook(more="same = 1")
    work = {
        1001: {"toy.ipynb": notebook(**SUM)},
        1002: {"toy.ipynb": same},
        1003: {"report.pdf": "%PDF"},
        1004: {"Zolc_Lukasz.zip": export_of({"toy.ipynb": same})},
    }
    klass.export = klass.root / "pw-toy-99.zip"
    klass.export.write_bytes(
        export_of({
            f"{PEOPLE[n]}_{n}_assignsubmission_file/{name}": content
            for n, files in work.items()
            for name, content in files.items()
        })
    )  # fmt: skip
    klass.sheet = klass.root / "Grades-toy.csv"
    klass.sheet.write_bytes(SHEET.encode())
    klass.report, klass.said = klass.grade("--jobs", "1", paths=[klass.export])
    return klass


def results(course, *options, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "grader", "results", "latest", *map(str, options)],
        cwd=course.root,
        env=course.environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == code, done.stderr
    return done.stdout, done.stderr


def test_nobody_is_lost_and_what_is_not_graded_is_counted_and_named(course):
    found = json.loads(course.report)["submissions"]
    assert [(s["origin"]["ids"]["participant"], s["score"]) for s in found] == [
        ("1001", 2.0), ("1002", 6.0), ("1003", None), ("1004", 6.0),
    ]  # fmt: skip
    assert found[1]["students"] == ["Luca Rossi (1002)"]
    assert "4 submissions, 1 without a notebook (Luca Rossi (1003))" in course.said
    assert "mean 78 %, median 100 % of the automatic points" in course.said
    assert "fails most often: a, mean of squares, in 1 of 3" in course.said
    assert "the same work byte for byte: Luca Rossi (1002), Łukasz Żółć" in course.said


def test_grades_go_back_into_the_worksheet_and_pages_into_a_zip(course):
    _, said = results(course, "--fill", course.sheet, "--feedback", "moodle", "--csv", "t.csv")
    filled = (course.root / "Grades-toy-graded.csv").read_bytes().decode()
    assert course.sheet.read_bytes() == SHEET.encode()
    marks = {row["Identifier"][-4:]: row["Grade"] for row in csv.DictReader(io.StringIO(filled))}
    assert marks == {"1001": "2.00", "1002": "6.00", "1003": "", "1004": "6.00", "1005": ""}
    assert "1 handed in nothing: Nobody Here" in said
    with zipfile.ZipFile(course.root / "feedback-toy.zip") as archive:
        pages = {name: archive.read(name).decode() for name in archive.namelist()}
    assert sorted(pages) == [
        f"{PEOPLE[n]}_{n}_assignsubmission_file/toy.html" for n in sorted(PEOPLE)
    ]
    page = pages["Anna Meier_1001_assignsubmission_file/toy.html"]
    assert "Anna Meier" in page
    assert not any(name in page for name in ("Rossi", str(course.root), "pw-toy-99"))
    table = (course.root / "t.csv").read_bytes().decode("utf-8-sig")
    assert len(table.splitlines()) == 6


def test_another_deadline_is_applied_without_grading_again(course):
    file = course.reference / "toy" / "assignment.toml"
    (course.reference / "class.toml").write_text(
        "".join(f'[[students]]\nname = "{p}"\nids.participant = "{n}"\n' for n, p in PEOPLE.items())
    )
    file.write_text(f"{file.read_text()}\n[deadline]\ndue = 2026-11-20\npenalty_per_day = 0.1\n")
    results(course, "--csv", "t.csv", "--assignments", course.reference)
    rows = list(csv.DictReader(io.StringIO((course.root / "t.csv").read_text("utf-8-sig"))))
    assert rows[0]["remarks"] == "2 of 6 (no time of the hand-in is known: no deduction)"
    _, said = course.grade("--jobs", "1", paths=[course.export])
    assert said.count("kept from an earlier run") == 3


def test_who_is_not_in_class_toml_is_in_the_table_all_the_same(course):
    (course.reference / "class.toml").write_text(
        '[[students]]\nname = "Anna Meier"\n[[students]]\nname = "Nobody Here"\n'
    )
    _, said = results(course, "--csv", "t.csv", "--assignments", course.reference)
    rows = list(csv.DictReader(io.StringIO((course.root / "t.csv").read_text("utf-8-sig"))))
    assert [(row["name"], row["status"]) for row in rows] == [
        ("Anna Meier", "graded"), ("Nobody Here", "absent"), ("Luca Rossi (1002)", "graded"),
        ("Luca Rossi (1003)", "refused"), ("Łukasz Żółć", "graded"),
    ]  # fmt: skip
    assert rows[2]["remarks"] == "6 of 6; not found in the class's list"
    assert "3 handed in, and not in the class's list" in said


def test_a_worksheet_is_never_written_over_and_a_slip_costs_nothing(course):
    _, said = results(course, "--fill", course.sheet, "--to", course.sheet, code=2)
    assert "it stays as it was" in said
    _, said = results(course, "--fill", course.sheet, "--column", "Mark", code=2)
    assert "no column for grades: name it with --column; there are: Identifier" in said
    assert "Traceback" not in said
    assert course.sheet.read_bytes() == SHEET.encode()


def test_the_same_export_again_keeps_its_names_and_numbers_where_results_are_kept(course):
    """The work of two is the same: what was kept for one is not shown as the other's."""
    course.grade("--jobs", "1", paths=[course.export])
    stdout, _ = results(course, "--json", "-")
    kept = json.loads(stdout)["submissions"]
    assert [(s["origin"], s["students"]) for s in kept] == [
        (s["origin"], s["students"]) for s in json.loads(course.report)["submissions"]
    ]


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals of this kind here")
def test_a_terminal_that_shows_the_summary_is_told_the_middle_of_the_class_once(klass):
    klass.hand_in("Meier_A", **SUM)
    klass.hand_in("Meier_B")
    outside, inside = os.openpty()
    command = subprocess.run(
        klass.command("--jobs", "1"), env=klass.environment,
        stdout=inside, stderr=subprocess.PIPE, text=True, timeout=120,
    )  # fmt: skip
    os.close(inside)
    shown = b""
    with os.fdopen(outside, "rb", buffering=0) as terminal, contextlib.suppress(OSError):
        while read := terminal.read(65536):
            shown += read
    assert command.returncode == 0, command.stderr
    assert (shown.count(b"mean 67 %"), shown.count(b"fails most often")) == (1, 1)
    assert "2 submissions" in command.stderr
    assert "mean" not in command.stderr
    assert "fails most often" not in command.stderr
