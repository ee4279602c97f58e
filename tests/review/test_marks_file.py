"""Marks without a browser: a CSV file that is written, filled in, and read."""

import csv
import io

import pytest

from grader.errors import ReviewError
from grader.review import marking, rubric
from grader.review.history import changes
from grader.review.marks_file import COLUMNS, read_marks, render_marks

from .conftest import result_of


def written(klass):
    return render_marks(klass.store, klass.run, klass.store.results(klass.run.id))


def read(klass, text):
    return read_marks(klass.store, klass.run, klass.store.results(klass.run.id), text, grader="ann")


def file_of(*rows, header=COLUMNS):
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow(header)
    writer.writerows(rows)
    return made.getvalue()


def row(name, item="", points="", comment="", exercise="2-words"):
    return [name, f"handed-in/{name.replace(' ', '_')}.zip", exercise, item, points, comment]


def test_the_first_file_has_a_line_for_each_open_answer(klass):
    klass = klass()
    rows = list(csv.DictReader(io.StringIO(written(klass).removeprefix("\ufeff"))))
    assert [(r["student"], r["exercise"], r["points"]) for r in rows] == [
        ("Anna Meier", "2-words", ""), ("Luca Rossi", "2-words", ""), ("Zoé Ng", "2-words", ""),
    ]  # fmt: skip


def test_points_and_comments_of_a_filled_file_are_in_the_results(klass):
    klass = klass()
    read(klass, file_of(
        row("Anna Meier", "says why", "2"), row("Anna Meier", "an example", "1.5"),
        row("Anna Meier", comment="Well done."), row("Luca Rossi", "", "4", "by hand"),
    ))  # fmt: skip
    assert [klass.exercise(n).points for n in (0, 1)] == [3.5, 4.0]
    assert klass.exercise(0).judgement.comment == "Well done."
    assert klass.exercise(2).status == "manual"


def test_what_was_written_is_read_back_and_changes_nothing(klass):
    klass = klass()
    read(klass, file_of(row("Anna Meier", "=why", "2"), row("Anna Meier", "", "-0.5", "-late\nyes"),
                        row("Luca Rossi", "", "0")))  # fmt: skip
    before, count = written(klass), len(changes(klass.store, "toy"))
    read(klass, before)
    assert written(klass) == before
    assert len(changes(klass.store, "toy")) == count
    assert [klass.exercise(n).points for n in (0, 1)] == [1.5, 0.0]


def test_marks_of_the_browser_come_back_as_they_were(klass):
    klass = klass()
    item = rubric.add_item(klass.store, "toy", "2-words", "says why", 2.0, grader="ben")
    marking.change(klass.store, klass.answer(0), grader="ben", items=[item], comment="Good.",
                   adjustment=0.5, reason="a new idea", done=True)  # fmt: skip
    before = marking.grading_of(klass.store, klass.answer(0))
    read(klass, written(klass))
    assert marking.grading_of(klass.store, klass.answer(0)) == before


def test_a_blank_line_takes_an_item_back(klass):
    klass = klass()
    read(klass, file_of(row("Anna Meier", "says why", "2"), row("Luca Rossi", "says why", "2")))
    read(klass, file_of(row("Anna Meier", "says why", ""), row("Anna Meier")))
    assert klass.exercise(0).status == "manual"
    assert klass.exercise(1).points == 2.0


def test_an_untouched_prompt_is_told_in_the_file_and_takes_no_points_when_read(empty):
    empty.grade(result_of(0, "# Review\n\n*Write your answer here.*"), result_of(1))
    text = written(empty)
    assert "(not answered)" in text
    read(empty, text)
    rubric.add_item(empty.store, "toy", "2-words", "x", 1.0, grader="ann")
    assert empty.exercise(0).judgement.answered is False
    assert empty.exercise(1).status == "manual"


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([row("Nobody")], "line 2: there is no submission of Nobody"),
        ([row("Anna Meier", "x", "many")], "line 2: points must be a number, not 'many'"),
        ([row("Anna Meier", "x", "nan")], "points are at most 10,000, plus or minus, not nan"),
        ([row("Anna Meier", "x", "1", exercise="9")], "there is no exercise '9'; there is 1-code"),
        ([row("Anna Meier", "x", "1"), row("Luca Rossi", "x", "2")], "'x' gives 1 points to all"),
        ([row("Anna Meier", "x", "1"), row("Anna Meier", "x", "1")], "stands twice"),
        ([row("Anna Meier", "", "25")], "line 2: 25 points, but 2-words has 5"),
        ([row("Anna Meier", "x", "")], "'x' of 2-words has no points in any line"),
    ],
)
def test_a_mistake_in_a_line_is_told_and_nothing_is_taken(klass, rows, told):
    klass = klass()
    with pytest.raises(ReviewError, match="nothing was taken") as caught:
        read(klass, file_of(row("Zoé Ng", "good", "5"), *rows[:0], *rows))
    assert told.replace("line 2", "line 3") in str(caught.value)
    assert changes(klass.store, "toy") == []


def test_a_file_that_holds_no_marks_is_told_by_its_columns(klass):
    klass = klass()
    with pytest.raises(ReviewError, match="lacks the column 'student'; it has: a, b"):
        read(klass, "a,b\n1,2\n")


def test_two_of_one_name_are_told_apart_by_their_file(empty):
    empty.grade(*(result_of(0, f"# Review\n\n{p}", path=f"{p}/x.zip") for p in "ab"))
    with pytest.raises(ReviewError, match="fits 2 submissions"):
        read(empty, file_of(["Anna Meier", "2-words", "x", "1", ""],
                            header=[c for c in COLUMNS if c != "submission"]))  # fmt: skip
    read(empty, file_of(["Anna Meier", "b/x.zip", "2-words", "x", "1", ""]))
    assert [empty.exercise(n).status for n in (0, 1)] == ["manual", "partial"]


def test_semicolons_and_decimal_commas_are_read(klass):
    klass = klass()
    read(klass, "student;exercise;rubric item;points;comment\nAnna Meier;2-words;x;1,5;\n")
    assert klass.exercise(0).points == 1.5
