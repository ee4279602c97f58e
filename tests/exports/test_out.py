"""Grades go back into the platform's own file: every other byte as it was, to the right student."""

import csv
import io
import re
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.errors import SheetError
from grader.gradebook import Person, fill_worksheet, grade_class, table
from grader.gradebook.feedback import for_student, write_feedback
from grader.gradebook.sheet import parse_sheet
from grader.gradebook.worksheets import columns_of, people_in
from grader.records import ExerciseScore, Note, Origin, Outcome, Report, Result

from . import importers
from .conftest import moodle_name

MAXIMUM = 90.0


def quoted(cells, delimiter=","):
    """A line as PHP's fputcsv writes it: quotes where there is a blank, a quote or a delimiter."""

    def one(text):
        if re.search(rf'[\s"{delimiter}\\]', text):
            return '"' + text.replace('"', '""') + '"'
        return text

    return delimiter.join(map(one, cells))  # fmt: skip


MOODLE = ("Identifier", "Full name", "ID number", "Email address", "Status", "Group", "Grade",
          "Maximum grade", "Grade can be changed", "Last modified (submission)",
          "Last modified (grade)", "Feedback comments")  # fmt: skip
GERMAN = ("ID", "Vollständiger Name", "ID-Nummer", "E-Mail-Adresse", "Status", "Gruppe",
          "Bewertung",
          "Bestwertung", "Bewertung kann geändert werden", "Zuletzt geändert (Abgabe)",
          "Zuletzt geändert (Bewertung)", "Feedback als Kommentar")  # fmt: skip


def moodle_sheet(people, *, header=MOODLE, end="\n", mark=b"", grades=None, word="Participant"):
    lines = [quoted(header)]
    for p in people:
        lines.append(
            quoted([
                f"{word} {p.participant}", p.name, p.user, p.email, 'Submitted - ,"x"',
                f"Group {p.number // 3}", (grades or {}).get(p.number, ""), "90.00",
                "No" if p.number == 2 else "Yes", "Friday, 20 November 2026, 10:00 AM", "-", "",
            ])
        )  # fmt: skip
    return mark + (end.join(lines) + end).encode()


def canvas_sheet(people, *, delimiter=",", end="\r\n", mark=b""):
    lines = [
        quoted(["Student", "ID", "SIS User ID", "SIS Login ID", "Section",
                "Warm up (77)", "Practical work 02 (12345)", "Assignments Current Points",
                "Final Grade"], delimiter),
        quoted(["    Points Possible", "", "", "", "", "5", "90", "(read only)", "(read only)"],
               delimiter),
    ]  # fmt: skip
    for p in people:
        family, _, given = p.name.rpartition(" ")
        lines.append(
            quoted([f"{given}, {family}" if family else given, p.user, f"S{p.user}", p.username,
                    "Section 1", "3.5", "", "88.1", "B"], delimiter)
        )  # fmt: skip
    lines.append(quoted(["Student, Test", "", "", "", "Section 1", "", "", "", ""], delimiter))
    return mark + (end.join(lines) + end).encode()


def blackboard_sheet(people, *, encoding="utf-16-le", mark=b"\xff\xfe"):
    lines = ['"Last Name"\t"First Name"\t"Username"\t"Student ID"\t'
             '"Quiz 3 [Total Pts: 10] |664617"\t'
             '"Practical work 02 [Total Pts: 90 Score] |664618"']  # fmt: skip
    for p in people:
        first, _, last = p.name.rpartition(" ")
        cells = [last, first, p.username, p.user, "7", ""]
        lines.append("\t".join(f'"{cell}"' for cell in cells))
    return mark + "\r\n".join(lines).encode(encoding)


def result_of(person, **changes):
    """A result as grading the person's hand-in would give it; the score tells whose it is."""
    exercise = ExerciseScore("1a", "=First", 40.0 + person.number, 90.0, "partial")
    made = Result(
        f"export.zip/{person.number}", (person.name,), "graded", "", 40.0 + person.number, MAXIMUM,
        exercises=(exercise,),
        origin=Origin("moodle", person.name, {"participant": person.participant}),
    )  # fmt: skip
    return replace(made, **changes)


def results_of(people, key):
    ids = {
        "moodle": lambda p: {"participant": p.participant},
        "canvas": lambda p: {"user": p.user, "attachment": f"9{p.user}"},
        "blackboard": lambda p: {"username": p.username, "attempt": "1"},
    }[key]
    return [
        result_of(p, origin=Origin(key, p.name, ids(p)))
        if p.works else result_of(p, status="refused", message="no notebook", score=0.0,
                                  exercises=(), origin=Origin(key, p.name, ids(p)))
        for p in people if p.number % 19 != 4  # two handed in nothing
    ]  # fmt: skip


def filled(content, results, **options):
    sheet = parse_sheet(content, name="sheet.csv")
    graded = grade_class(results, people_in(sheet))
    columns = columns_of(sheet, titles=("pw02", "Practical work 02"))
    return fill_worksheet(sheet, graded.grades, columns, **options), graded


def expected(people, key):
    return {
        key(p): 40.0 + p.number for p in people if p.works and p.number % 19 != 4
    }  # fmt: skip


SHEETS = {
    "moodle": lambda people: moodle_sheet(people),
    "moodle, CRLF and a mark": lambda p: moodle_sheet(p, end="\r\n", mark=b"\xef\xbb\xbf"),
    "canvas": lambda people: canvas_sheet(people),
    "canvas, semicolons": lambda people: canvas_sheet(people, delimiter=";", end="\n"),
    "blackboard": lambda people: blackboard_sheet(people),
    "blackboard, UTF-8": lambda people: blackboard_sheet(people, encoding="utf-8", mark=b""),
}


@pytest.mark.parametrize("kind", SHEETS)
def test_a_worksheet_goes_back_with_its_grades_and_every_other_byte_as_it_was(kind, people):
    content = SHEETS[kind](people)
    platform = kind.partition(",")[0]
    done, graded = filled(content, results_of(people, platform))
    assert graded.unmatched == graded.unclear == ()
    # Take out what was filled, by another reader than the one that filled it.
    sheet = parse_sheet(done.content, name="filled.csv")
    before = parse_sheet(content, name="before.csv")
    columns = columns_of(before, titles=("Practical work 02",))
    touched = {columns.grade, columns.comments}
    emptied = {
        (r, c): before.value(r, c) for r in range(1, len(before.rows))
        for c in touched if c is not None and sheet.value(r, c) != before.value(r, c)
    }  # fmt: skip
    assert emptied
    assert sheet.filled(emptied) == content
    if platform == "moodle":
        known = {p.participant for p in people}
        marks = importers.moodle(done.content, maximum=90, known=known)
        assert marks == expected(people, lambda p: p.participant)
    elif platform == "canvas":
        assert importers.canvas(done.content, assignment="12345") == expected(
            people, lambda p: p.user
        )
        assert importers.canvas(done.content, assignment="77") == {p.user: 3.5 for p in people}
    else:
        assert importers.blackboard(done.content, column="664618") == expected(
            people, lambda p: p.username
        )
    absent = {p.name for p in people if p.number % 19 == 4 or not p.works}
    assert {line.partition(":")[0] for line in done.without_grade} == absent


def test_a_worksheet_in_another_language_is_filled_by_its_own_header(people):
    content = moodle_sheet(people, header=GERMAN, word="Teilnehmer/in")
    done, _ = filled(content, results_of(people, "moodle"))
    words = ("ID", "Bewertung", "Zuletzt geändert (Bewertung)")
    known = {p.participant for p in people}
    marks = importers.moodle(done.content, maximum=90, known=known, words=words)
    assert marks == expected(people, lambda p: p.participant)


def test_a_worksheet_that_is_not_utf_8_is_found_by_its_header_and_keeps_its_bytes(people):
    text = (
        'ID,"Vollständiger Name",Bewertung,Bestwertung,"Zuletzt geändert (Bewertung)"\n'
        '"Teilnehmer/in 2000","Jürg Größe",,"90,00",-\n'
    )
    origin = Origin("moodle", "Jürg Größe", {"participant": "2000"})
    done, graded = filled(text.encode("cp1252"), [result_of(people[0], origin=origin)])
    assert graded.grades[0].person.name == "Jürg Größe"
    assert done.content == text.replace('Größe",,', 'Größe",40.00,').encode("cp1252")


def test_a_header_that_nobody_translated_is_found_by_where_the_maximum_stands(people):
    header = ("Kennung", "Navn", "Nummer", "Post", "Stand", "Hold", "Points", "Højst", "?", "Sidst",
              "Sidst sat", "Ord")  # fmt: skip
    done, _ = filled(moodle_sheet(people, header=header), results_of(people, "moodle"))
    words = ("Kennung", "Points", "Sidst sat")
    marks = importers.moodle(
        done.content, maximum=90, known={p.participant for p in people}, words=words
    )
    assert marks == expected(people, lambda p: p.participant)


def test_what_the_platform_would_pass_over_in_silence_is_said_before(people):
    content = moodle_sheet(people, grades={5: "12.00"})
    results = [result_of(p) for p in people]
    results[7] = replace(results[7], score=95.0)
    done, _ = filled(content, results)
    told = "\n".join(done.warnings)
    assert f"{people[2].name}: the grade is locked in Moodle" in told
    assert f"{people[5].name}: Moodle has 12 already" in told
    assert f"{people[7].name}: 95.00 is more than the platform's maximum, 90" in told
    assert len(done.warnings) == 3


def test_another_maximum_is_said_and_converted_where_the_user_wants(people):
    results = [replace(result_of(p), max_score=45.0, score=4.5) for p in people]
    done, _ = filled(moodle_sheet(people), results)
    assert "the platform's maximum is 90, and 45 points can be earned here" in done.warnings[0]
    done, _ = filled(moodle_sheet(people), results, scale=True)
    marks = importers.moodle(done.content, maximum=90, known={p.participant for p in people})
    assert set(marks.values()) == {9.0}


def test_which_column_is_asked_where_none_fits_and_a_read_only_one_is_refused(people):
    sheet = parse_sheet(canvas_sheet(people), name="gradebook.csv")
    with pytest.raises(SheetError, match=r"no column for pw99.*Warm up \(77\)"):
        columns_of(sheet, titles=("pw99",))
    assert columns_of(sheet, wanted="77").grade == 5
    assert columns_of(sheet, wanted="Warm up (77)").maximum == 5
    text = canvas_sheet(people).replace(b",5,90,", b",5,90 (read only),")
    with pytest.raises(SheetError, match="is read only"):
        columns_of(parse_sheet(text, name="g.csv"), wanted="12345")


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04", b"a,b\n1,2\n", b'Identifier,Grade\n"Participant 1', b"\0\0,\0\n"],
)
def test_what_is_no_worksheet_is_refused_in_one_line(content):
    with pytest.raises(SheetError) as caught:
        sheet = parse_sheet(content, name="x.csv")
        columns_of(sheet)
    assert "x.csv" in str(caught.value)
    assert "\n" not in str(caught.value)


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=2, max_size=8),
    delimiter=st.sampled_from(",;\t"),
    end=st.sampled_from(["\n", "\r\n"]),
    value=CELLS,
)
def test_any_table_comes_back_byte_for_byte_but_for_what_was_filled(rows, delimiter, end, value):
    made = io.StringIO()
    csv.writer(made, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    content = made.getvalue().encode()
    sheet = parse_sheet(content, name="any.csv")
    assert [[cell.value for cell in row] for row in sheet.rows] == rows
    assert sheet.filled({}) == content
    again = parse_sheet(sheet.filled({(1, 1): value}), name="any.csv")
    assert again.value(1, 1) == value
    assert again.filled({(1, 1): rows[1][1]}) == content


# --- feedback ------------------------------------------------------------------------------


def pages_of(grades, archive, to):
    return write_feedback(
        to, archive, grades, report=Report("pw02", "Practical work 02", 0, ()),
        render=lambda report, result, seen: f"{result.students}|{result.path}|{result.score}",
        evidence=lambda result: b"",
    )  # fmt: skip


def test_moodle_s_zip_has_a_page_for_each_with_the_number_from_the_worksheet(people, tmp_path):
    graded = grade_class(
        [result_of(p) for p in people], people_in(parse_sheet(moodle_sheet(people), name="m.csv"))
    )
    assert pages_of(graded.grades, "moodle", tmp_path / "f.zip") == 40
    content = (tmp_path / "f.zip").read_bytes()
    found = importers.moodle_feedback(content, known={p.participant for p in people})
    for p in people:
        page = found[p.participant]["pw02.html"].decode()
        assert page.endswith(f"|{40.0 + p.number}"), moodle_name(p)
        assert [q.name for q in people if f"'{q.name}'" in page] in ([p.name], [p.name] * 2, [])


def test_each_member_of_a_team_gets_a_page_that_names_nobody_else(people, tmp_path):
    group = Result("e.zip/Group 2_501", ("Group 2",), "graded", score=7.0, max_score=90.0,
                   origin=Origin("moodle", "Group 2", {"participant": "2001"}))  # fmt: skip
    graded = grade_class([group], people_in(parse_sheet(moodle_sheet(people), name="m.csv")))
    assert pages_of(graded.grades, "moodle", tmp_path / "f.zip") == 3
    found = importers.moodle_feedback(
        (tmp_path / "f.zip").read_bytes(), known={p.participant for p in people}
    )
    assert set(found) == {"2006", "2007", "2008"}
    for number, pages in found.items():
        assert pages["pw02.html"].decode().count(people[int(number) - 2000].name) == 1


def test_canvas_s_zip_goes_back_to_what_was_downloaded(people, tmp_path):
    results = results_of(people, "canvas")
    graded = grade_class(results, people_in(parse_sheet(canvas_sheet(people), name="c.csv")))
    count = pages_of(graded.grades, "canvas", tmp_path / "f.zip")
    found = importers.canvas_comments(
        (tmp_path / "f.zip").read_bytes(), attachments={p.user: {f"9{p.user}"} for p in people}
    )
    assert len(found) == count == len(results)


def test_a_name_of_digits_is_not_taken_for_the_number_of_another_user(tmp_path):
    origin = Origin("canvas", "007", {"user": "4001", "attachment": "90001"})
    result = Result("x", ("007",), "graded", score=1.0, max_score=9.0, origin=origin)
    pages_of(grade_class([result]).grades, "canvas", tmp_path / "f.zip")
    assert importers.canvas_comments(
        (tmp_path / "f.zip").read_bytes(), attachments={"4001": {"90001"}}
    ).keys() == {"4001"}


def test_names_that_look_alike_have_a_folder_each(tmp_path):
    names = ["Eve", "eve", "Eve/../Eve", "E:ve", "../x", "..", "con", "Eve ", "=Eve"]
    results = [
        Result(f"{n}", (name,), "graded", score=float(n), max_score=9.0)
        for n, name in enumerate(names)
    ]
    grades = [
        replace(grade_class([result]).grades[0], person=Person(name))
        for result, name in zip(results, names, strict=True)
    ]
    assert pages_of(grades, "folder", tmp_path / "out") == len(names)
    pages = list((tmp_path / "out").rglob("pw02.html"))
    assert len(pages) == len(names)
    assert {float(p.read_text().rpartition("|")[2]) for p in pages} == set(map(float, range(9)))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]


def test_who_has_no_number_in_moodle_gets_no_page_under_another_s(tmp_path):
    grades = grade_class([Result("a", ("A B",), "graded")]).grades
    with pytest.raises(SheetError, match="A B has no participant number"):
        pages_of(grades, "moodle", tmp_path / "f.zip")
    assert list(tmp_path.iterdir()) == []


def test_a_student_s_page_shows_nothing_of_a_hidden_check_but_what_is_for_students():
    hidden = Outcome("a", "t", "failed", 0.0, 1.0, hidden=True, seconds=1.25,
                     message="f(0.25, [1e-3, -7]) gave 3.5 for x1, expected (784, 1)")  # fmt: skip
    told = replace(hidden, for_students="the mean is missing")
    shown = replace(hidden, hidden=False)
    exercise = ExerciseScore("a", "A", 0.0, 1.0, "failed", (hidden, shown, told))
    notes = (Note("traceback", "line 5"),)
    result = Result("/home/a.zip", ("A", "B"), "graded", exercises=(exercise,), notes=notes)
    page = for_student(result, Person("A"), "The title")
    first, second, third = page.exercises[0].checks
    assert (first.message, first.seconds) == ("What came back is not right.", 0.0)
    assert third.message == "the mean is missing"
    assert second.message == shown.message
    assert (page.students, page.path, page.notes) == (("A",), "The title", ())


# --- a table -------------------------------------------------------------------------------


def test_the_table_has_a_row_a_student_and_no_formula(people):
    evil = ["=HYPERLINK(1)", "+cmd", "-2+3", "@SUM(A1)", "\t=1", '"=1"', "Li, Na", "-7"]
    results = [
        Result(name, (name,), "graded", score=-1.5 if n else 3.0, max_score=9.0,
               exercises=(ExerciseScore("=1a", "t", 3.0, 9.0, "partial"),))
        for n, name in enumerate(evil)
    ]  # fmt: skip
    text = table.render(grade_class(results).grades)
    assert text.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text[1:])))
    assert len(rows) == len(evil)
    for row in rows:
        for cell in row.values():
            assert not cell.startswith(("=", "+", "@", "\t")), cell
            if cell.startswith("-"):
                float(cell)
    assert rows[1]["points"] == "-1.5"
    assert rows[0]["'=1a"] == "3"


def test_who_handed_in_nothing_and_who_was_refused_have_a_row_without_points(people):
    results = results_of(people, "moodle")
    graded = grade_class(results, people_in(parse_sheet(moodle_sheet(people), name="m.csv")))
    rows = list(csv.DictReader(io.StringIO(table.render(graded.grades, ["1a", "1b"])[1:])))
    assert len(rows) == 40
    status = {row["participant"]: (row["status"], row["points"], row["1b"]) for row in rows}
    assert status["2004"] == ("absent", "", "")
    refused = next(p for p in people if not p.works and p.number % 19 != 4)
    assert status[refused.participant] == ("refused", "", "")


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(names=st.lists(st.text(max_size=10), min_size=1, max_size=8))
def test_the_table_has_a_row_for_each_of_any_names(names):
    results = [
        Result(f"{n}", (name or "x",), "graded", score=1.0, max_score=2.0,
               origin=Origin("moodle", name, {"participant": str(n)}))
        for n, name in enumerate(names)
    ]  # fmt: skip
    text = table.render(grade_class(results).grades)
    assert len(list(csv.reader(io.StringIO(text[1:])))) == len(names) + 1
