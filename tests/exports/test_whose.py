"""Whose a result is, by the platform's numbers and by names, and which points then count."""

from dataclasses import replace
from datetime import datetime

import pytest

from grader.errors import AssignmentError
from grader.gradebook import Person, grade_class, read_roster
from grader.gradebook.roster import with_extra_days
from grader.gradebook.rules import with_rules
from grader.gradebook.sheet import parse_sheet
from grader.gradebook.worksheets import people_in
from grader.records import Deadline, Note, Origin, Result

from . import importers
from .test_out import filled, moodle_sheet, result_of

# --- whose it is ---------------------------------------------------------------------------


def test_two_students_of_one_name_each_get_their_own_mark(people):
    twins = [p for p in people if p.name == "Luca Rossi"]
    done, _ = filled(moodle_sheet(people), [result_of(p) for p in twins])
    marks = importers.moodle(done.content, maximum=90, known={p.participant for p in people})
    assert marks == {p.participant: 40.0 + p.number for p in twins}


def test_another_s_name_in_a_file_s_name_gives_that_student_nothing(people):
    """Eve hands in Meier_Anna.zip; the platform's key says that it is Eve's."""
    anna, eve = people[0], people[9]
    results = [result_of(anna), result_of(eve, students=(anna.name,), score=1.0)]
    done, graded = filled(moodle_sheet(people), results)
    marks = importers.moodle(done.content, maximum=90, known={p.participant for p in people})
    assert marks == {anna.participant: 40.0, eve.participant: 1.0}
    assert not any(grade.by_name for grade in graded.grades)


def test_a_partner_s_grade_by_a_file_s_name_is_pointed_out(people):
    team = result_of(people[0], students=(people[0].name, people[10].name))
    graded = grade_class([team], people_in(parse_sheet(moodle_sheet(people), name="m.csv")))
    got = {g.person.ids["participant"]: g.by_name for g in graded.grades if g.result}
    assert got == {people[0].participant: False, people[10].participant: True}


def test_a_name_that_two_people_have_gives_it_to_neither(people):
    results = [Result("x.zip", ("Luca Rossi",), "graded", score=5.0, max_score=90.0)]
    graded = grade_class(results, people_in(parse_sheet(moodle_sheet(people), name="m.csv")))
    assert {(g.person.name, g.status) for g in graded.grades if g.status != "absent"} == {
        ("Luca Rossi", "unclear")
    }
    assert graded.unclear == ("x.zip: 2 people are called Luca Rossi",)
    assert graded.unmatched == tuple(results)


def by_moodle(participant, *students, name="Luca Rossi"):
    return Result(f"{participant}/w.zip", students or (name,), "graded", score=5.0, max_score=9.0,
                  origin=Origin("moodle", name, {"participant": participant}))  # fmt: skip


TWINS = [Person("Luca Rossi", {"participant": "1"}), Person("Luca Rossi", {"participant": "2"})]


def points_of(results, people):
    return [grade.points for grade in grade_class(results, people).grades]


def test_who_handed_in_nothing_does_not_get_the_points_of_another_of_that_name():
    assert points_of([by_moodle("1")], TWINS) == [5.0, None]
    assert points_of([by_moodle("2")], TWINS) == [None, 5.0]
    left_the_course = grade_class([by_moodle("1"), by_moodle("3", name="An Li")],
                                  [TWINS[1], Person("An Li", {"participant": "3"})])  # fmt: skip
    assert [grade.status for grade in left_the_course.grades] == ["absent", "graded"]
    assert [result.path for result in left_the_course.unmatched] == ["1/w.zip"]


def test_which_of_two_of_one_name_is_the_partner_is_asked():
    pair = by_moodle("3", "An Li", "Luca Rossi", name="An Li")
    graded = grade_class([pair, by_moodle("1")], [*TWINS, Person("An Li", {"participant": "3"})])
    assert [g.status for g in graded.grades] == ["graded", "unclear", "graded"]
    assert graded.unclear == ("3/w.zip: 2 people are called Luca Rossi",)
    both = by_moodle("1", "Luca Rossi", "Luca Rossi")
    assert [g.status for g in grade_class([both], TWINS).grades] == ["graded", "unclear"]


def test_numbers_of_another_assignment_in_the_list_are_no_other_people():
    old = [Person("An Li", {"participant": "77"}), Person("Bo Li", {"participant": "78"})]
    results = [by_moodle("3", name="An Li"), by_moodle("4", name="Bo Li")]
    assert points_of(results, old) == [5.0, 5.0]


@pytest.mark.parametrize("shown", ["Luca Rossi", "Luca Rossi (4001)"])
def test_the_number_that_tells_two_apart_is_no_part_of_the_name(shown):
    origin = Origin("brightspace", "Luca Rossi", {"user": "4001"}, students=(shown,))
    result = Result("x", (shown,), "graded", score=5.0, max_score=9.0, origin=origin)
    (grade,) = grade_class([result], [Person("Luca Rossi", {"sid": "9"})]).grades
    assert (grade.points, grade.by_name) == (5.0, False)
    two = grade_class([result], [Person("Luca Rossi", {"sid": "9"})] * 2)
    assert [grade.status for grade in two.grades] == ["unclear", "unclear"]


def test_the_platform_s_name_is_preferred_to_the_one_in_the_student_s_file():
    """Eve hands in Meier_Anna.zip on a platform whose list has no numbers."""
    eve = Result("1 - Eve Li/Meier_Anna.zip", ("Anna Meier",), "graded", score=5.0, max_score=9.0,
                 origin=Origin("brightspace", "Eve Li", {"user": "1"}))  # fmt: skip
    anna = Result("2 - Anna Meier/w.zip", ("Anna Meier",), "graded", score=8.0, max_score=9.0,
                  origin=Origin("brightspace", "Anna Meier", {"user": "2"}))  # fmt: skip
    class_list = [Person("Anna Meier"), Person("Eve Li")]
    assert points_of([eve, anna], class_list) == [8.0, 5.0]


def test_two_of_one_name_are_not_two_attempts_of_the_one_in_another_platform_s_list():
    def by(*keys):
        origins = {key: Origin("moodle", "Luca Rossi", {"participant": key}) for key in keys}
        results = [
            Result(f"{key}/w.zip", ("Luca Rossi",), "graded", score=float(key[-1]), max_score=9.0,
                   origin=origins[key])
            for key in keys
        ]  # fmt: skip
        return results, grade_class(results, [Person("Luca Rossi", {"user": "1"})])

    results, two = by("92", "93")
    assert two.grades[0].status == "unclear" and two.unmatched == tuple(results)
    assert two.unclear == ("several people's work has the name Luca Rossi: 92/w.zip, 93/w.zip",)
    # One who hands in again is one.
    _, again = by("92", "92")
    assert (again.grades[0].points, again.grades[0].attempts, again.unmatched) == (2.0, 2, ())


@pytest.mark.parametrize("written", ["Anna Mueller", "Anna Muller", "Müller Anna", "anna müller"])
def test_a_name_is_found_as_it_is_written_without_its_letters(written):
    result = Result("w.zip", (written,), "graded", score=5.0, max_score=9.0)
    assert points_of([result], [Person("Anna Müller"), Person("Jan Müller")]) == [5.0, None]
    lukasz = Result("w.zip", ("Lukasz Zolc",), "graded", score=5.0, max_score=9.0)
    assert points_of([lukasz], [Person("Łukasz Żółć")]) == [5.0]


@pytest.mark.parametrize(
    ("listed", "written"),
    [
        ("Anna Meier", "meieranna"), ("Meier, Anna", "meieranna"), ("Seán O'Neill", "oneillseán"),
        ("María José de la Cruz", "delacruzmaríajosé"), ("王小明", "王小明"),
    ],
)  # fmt: skip
def test_canvas_s_name_without_blanks_is_found_in_a_list_of_names(listed, written):
    result = Result("x", (written,), "graded", score=5.0, max_score=9.0,
                    origin=Origin("canvas", written, {"user": "1"}))  # fmt: skip
    assert points_of([result], [Person(listed), Person("Jan Meier")]) == [5.0, None]
    other = replace(result, path="y", origin=replace(result.origin, ids={"user": "2"}))
    (grade,) = grade_class([result, other], [Person(listed)]).grades
    assert grade.status == "unclear"
    two = grade_class([result], [Person(listed)] * 2)
    assert [grade.status for grade in two.grades] == ["unclear"] * 2


def test_canvas_s_group_without_blanks_reaches_each_member():
    team = [Person("Anna Meier", group="Group 1"), Person("Luca Rossi", group="Group 1")]
    others = [Person("Eve Li", group="Group 11"), Person("Bo Li", {"user": "7"}, group="Group 2")]
    result = Result("x", ("group1",), "graded", score=5.0, max_score=9.0,
                    origin=Origin("canvas", "group1", {"user": "7"}))  # fmt: skip
    assert points_of([result], [*team, *others]) == [5.0, 5.0, None, None]


def test_two_whose_names_differ_by_an_accent_are_two():
    class_list = [Person("José García"), Person("Jose Garcia"), Person("Joße García")]
    results = [
        Result(f"{n}.zip", (name,), "graded", score=float(n), max_score=9.0)
        for n, name in enumerate(("Jose Garcia", "José García"), 1)
    ]
    assert points_of(results, class_list) == [2.0, 1.0, None]
    neither = Result("x.zip", ("Jósé Garcia",), "graded", score=5.0, max_score=9.0)
    assert [g.status for g in grade_class([neither], class_list).grades] == [
        "unclear", "unclear", "absent",
    ]  # fmt: skip
    (first, second, _) = with_extra_days(
        tuple(class_list), (Person("Jose Garcia", extra_days={"*": 2.0}),)
    )
    assert (first.extra_days, second.extra_days) == ({}, {"*": 2.0})


@pytest.mark.parametrize("listed", ["王小明", "王 小明", "小明 王", "王, 小明"])
@pytest.mark.parametrize("written", ["王小明", "王 小明", "小明 王"])
def test_a_name_without_a_blank_is_the_same_in_two_parts(listed, written):
    class_list = [Person(listed), Person("王明小"), Person("李华")]
    result = Result("w.zip", (written,), "graded", score=5.0, max_score=9.0)
    graded = grade_class([result], class_list)
    assert [grade.points for grade in graded.grades] == [5.0, None, None]
    ((known, _, _),) = [
        with_extra_days((Person(written), *class_list[1:]), (Person(listed, group="A"),))
    ]
    assert known.group == "A"


def test_a_list_names_people_as_their_script_does():
    sheet = parse_sheet(
        "Student,ID,SIS User ID,SIS Login ID,Section,pw (1)\n"
        '"王, 小明",1,,,S,\n"김, 민준",2,,,S,\n"Müller, Anna",3,,,S,\n'.encode(),
        name="c.csv",
    )
    assert [person.name for person in people_in(sheet)] == ["王小明", "김민준", "Anna Müller"]


def test_a_group_s_grade_reaches_each_member(people):
    group = Result("e.zip/Group 2_501", ("Group 2",), "graded", score=7.0, max_score=90.0,
                   origin=Origin("moodle", "Group 2", {"participant": "501"}))  # fmt: skip
    graded = grade_class([group], people_in(parse_sheet(moodle_sheet(people), name="m.csv")))
    got = {g.person.name for g in graded.grades if g.points == 7.0}
    assert got == {p.name for p in people if p.number // 3 == 2}


def test_a_group_s_number_that_is_another_s_participant_number_is_not_that_student_s(people):
    """Moodle numbers teams apart: team 2007 is not participant 2007."""
    group = Result("e.zip/g", ("Group 0",), "graded", score=7.0, max_score=90.0,
                   origin=Origin("moodle", "Group 0", {"participant": "2007"}))  # fmt: skip
    graded = grade_class([group], people_in(parse_sheet(moodle_sheet(people), name="m.csv")))
    got = {g.person.ids["participant"] for g in graded.grades if g.points == 7.0}
    assert got == {"2000", "2001", "2002"}


# --- rules ---------------------------------------------------------------------------------

DUE = Deadline(due=datetime(2026, 11, 20, 12), late_days=3, penalty_per_day=0.1, cap=0.25)


@pytest.mark.parametrize(
    ("handed_in", "points", "line"),
    [
        ("2026-11-20T12:00:00", 87.0, "87 of 90, in time"),
        ("2026-11-20T12:00:01", 78.3, "87 of 90, 1 day late: -10 %, counts 78.3"),
        ("2026-11-22T11:00:00", 69.6, "87 of 90, 2 days late: -20 %, counts 69.6"),
        ("2026-11-23T11:00:00", 65.25, "87 of 90, 3 days late: -25 %, counts 65.25"),
        ("2026-11-24T12:00:00", 0.0, "87 of 90, 4 days late, and 3 are accepted: 0"),
        ("", 87.0, "87 of 90 (no time of the hand-in is known: no deduction)"),
        ("no time", 87.0, "87 of 90 (no time of the hand-in is known: no deduction)"),
    ],
)
def test_what_lateness_costs_is_said_in_a_line(handed_in, points, line):
    result = Result("a", ("A B",), "graded", score=87.0, max_score=90.0,
                    origin=Origin(handed_in=handed_in))  # fmt: skip
    (grade,) = grade_class([result], deadline=DUE).grades
    assert (grade.points, grade.lines) == (points, (line,))
    assert grade.score == 87.0
    assert with_rules(grade).notes[0] == Note("rules", line)


def test_steps_take_the_place_of_a_share_a_day():
    rules = Deadline(due=datetime(2026, 11, 20), steps=((1, 0.1), (3, 0.5)))
    late = [f"2026-11-{day}T01:00:00" for day in (20, 21, 22, 25)]
    results = [
        Result(str(n), (f"P {n}",), "graded", score=10.0, max_score=10.0,
               origin=Origin(handed_in=when)) for n, when in enumerate(late)
    ]  # fmt: skip
    grades = grade_class(results, deadline=rules).grades
    assert [grade.points for grade in grades] == [9.0, 9.0, 5.0, 5.0]


@pytest.mark.parametrize(("which", "score"), [("last", 3.0), ("best", 9.0), ("first", 5.0)])
def test_the_attempt_that_counts_is_the_rules_choice(which, score):
    results = [
        Result(f"{n}", ("A B",), "graded", score=points, max_score=10.0,
               origin=Origin("x", "A B", {"user": "7"}, handed_in=f"2026-11-{day}T00:00:00"))
        for n, (points, day) in enumerate([(9.0, 12), (3.0, 14), (5.0, 10)])
    ]  # fmt: skip
    (grade,) = grade_class(results, deadline=Deadline(attempts=which)).grades
    assert (grade.points, grade.attempts) == (score, 3)
    assert grade.lines[0] == f"3 hand-ins; the {which} counts"


def test_extra_days_of_one_student_move_the_deadline(tmp_path):
    (tmp_path / "class.toml").write_text(
        '[[students]]\nname = "A B"\nids = { user = 7 }\nextra_days = { pw02 = 2 }\n'
        '[[students]]\nname = "C D"\n'
    )
    people = read_roster(tmp_path / "class.toml")
    late = Origin("canvas", "A B", {"user": "7"}, handed_in="2026-11-22T11:00:00")
    result = Result("a", ("ab",), "graded", score=87.0, max_score=90.0, origin=late)
    first, second = grade_class([result], people, assignment="pw02", deadline=DUE).grades
    assert first.lines == ("87 of 90, in time, 2 days more granted",)
    assert (second.status, second.points) == ("absent", None)
    (again, _) = grade_class([result], people, assignment="pw03", deadline=DUE).grades
    assert again.points == 69.6


def test_a_slip_in_class_toml_is_named(tmp_path):
    file = tmp_path / "class.toml"
    file.write_text('[[students]]\nname = "A B"\nextra = 1\n')
    with pytest.raises(AssignmentError, match=r"class.toml: \[\[students\]\].*unknown key `extra`"):
        read_roster(file)


@pytest.mark.parametrize(
    ("text", "people"),
    [
        ("Name,Email\nAnna Meier,a@x.org\n", [("Anna Meier", {"email": "a@x.org"})]),
        ("Last name;First name;Student ID\nMeier;Anna;77\n;;\n", [("Anna Meier", {"sid": "77"})]),
    ],
)
def test_a_table_of_one_s_own_is_a_roster(tmp_path, text, people):
    (tmp_path / "list.csv").write_text(text)
    found = read_roster(tmp_path / "list.csv")
    assert [(one.name, dict(one.ids)) for one in found] == people


def test_a_list_that_excel_wrote_on_windows_has_its_letters(tmp_path):
    (tmp_path / "list.csv").write_bytes("Name;Prénom\nAnna Müller;x\nZoë Žak;y\n".encode("cp1252"))
    assert [one.name for one in read_roster(tmp_path / "list.csv")] == ["Anna Müller", "Zoë Žak"]


def test_class_toml_adds_to_the_people_of_a_worksheet(people):
    sheet = parse_sheet(moodle_sheet(people), name="m.csv")
    known = (Person(people[0].name, {"user": "9"}, extra_days={"pw": 1.0}),)
    (first, *_) = with_extra_days(people_in(sheet), known)
    assert (first.row, first.extra_days, first.ids["user"]) == (1, {"pw": 1.0}, "9")
