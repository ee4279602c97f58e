"""Grades go into Brightspace's own export, whose students are found by their names."""

import pytest

from grader.errors import SheetError
from grader.gradebook import fill_worksheet, grade_class
from grader.gradebook.sheet import parse_sheet
from grader.gradebook.worksheets import columns_of, kind_of, people_in
from grader.records import Origin, Result

HEADER = (
    "OrgDefinedId,Username,Last Name,First Name,"
    "Toy Points Grade <Numeric MaxPoints:6 Weight:10 Category:Labs CategoryWeight:5>,"
    "Quiz Points Grade <Numeric MaxPoints:9>,Mood Text Grade <Text>,End-of-Line Indicator"
)
ROWS = (
    "#007,#am12,Meier,Anna,,3,fine,#",
    "#008,#lr34,Rossi,Luca,,,,#",
    "#009,#lr35,Rossi,Luca,,,,#",
    "#010,#xm,王,小明,2,,,#",
)
SHEET = "\r\n".join((HEADER, *ROWS, ""))


def by_brightspace(user, name, score):
    origin = Origin("brightspace", name, {"user": user, "folder": "5"})
    return Result(f"{user}-5 - {name}", (name,), "graded", score=score, max_score=6.0,
                  origin=origin)  # fmt: skip


def filled(results, **wanted):
    sheet = parse_sheet(SHEET.encode(), name="d2l.csv")
    graded = grade_class(results, people_in(sheet))
    return fill_worksheet(sheet, graded.grades, columns_of(sheet, **wanted)), graded


def test_points_go_to_the_students_by_name_and_every_other_byte_stays():
    results = [by_brightspace("41", "Anna Meier", 5.5), by_brightspace("42", "王小明", 6.0)]
    done, graded = filled(results, titles=("toy", "Toy"))
    after = SHEET.replace("Anna,,3", "Anna,5.50,3").replace("小明,2,", "小明,6.00,")
    assert done.content.decode() == after
    assert not any(grade.by_name for grade in graded.grades)


def test_of_two_of_one_name_neither_gets_points():
    done, graded = filled([by_brightspace("41", "Luca Rossi", 5.0)], wanted="Toy")
    assert done.content.decode() == SHEET
    assert graded.unclear == ("41-5 - Luca Rossi: 2 people are called Luca Rossi",)


def test_the_maximum_is_the_columns_own_and_ids_lose_their_sign():
    sheet = parse_sheet(SHEET.encode(), name="d2l.csv")
    assert kind_of(sheet) == "brightspace"
    assert columns_of(sheet, wanted="toy").maximum == 6.0
    assert columns_of(sheet, wanted="Quiz").maximum == 9.0
    assert people_in(sheet)[0].ids == {"sid": "007", "username": "am12"}
    with pytest.raises(SheetError, match="no column for Mood: name one with --column; there are"):
        columns_of(sheet, wanted="Mood")


def test_who_is_excused_in_canvas_stays_excused():
    sheet = parse_sheet(
        b"Student,ID,SIS User ID,SIS Login ID,Section,Toy (12345)\r\n"
        b'"Meier, Anna",41,7,a,S,EX\r\n"Rossi, Luca",42,8,l,S,\r\n',
        name="c.csv",
    )
    results = [
        Result(user, (), "graded", score=4.0, max_score=6.0,
               origin=Origin("canvas", "x", {"user": user}))
        for user in ("41", "42")
    ]  # fmt: skip
    graded = grade_class(results, people_in(sheet))
    done = fill_worksheet(sheet, graded.grades, columns_of(sheet))
    assert done.content == sheet.filled({(2, 5): "4.00"})
    assert done.without_grade == ("Anna Meier: is excused in Canvas (EX), which stays",)
