"""Marks by a rubric: what a person says once holds for everybody, and nothing gets lost."""

import sqlite3
from dataclasses import replace

import pytest

from grader.batch.store import open_store
from grader.batch.tables import SCHEMA, STEPS
from grader.errors import ReviewError
from grader.records import Origin
from grader.review import marking, overrides, rubric
from grader.review.answers import answers_of, index_all
from grader.review.history import changes

from .conftest import PROMPT, result_of


def add(klass, words="says why", points=2.0):
    return rubric.add_item(klass.store, "toy", "2-words", words, points, grader="ann")


def mark(klass, number, *items, **options):
    options.setdefault("done", True)
    return marking.change(klass.store, klass.answer(number), grader="ann", items=items, **options)


# --- points follow the rubric -------------------------------------------------------------------


def test_items_that_apply_add_up_and_the_total_has_them(klass):
    klass = klass()
    mark(klass, 0, add(klass), add(klass, "an example", 1.5))
    result = klass.judged(0)
    assert klass.exercise(0).points == 3.5
    assert (result.score, result.max_score, result.manual_points) == (7.5, 9.0, 0.0)


def test_an_item_that_changes_changes_everybody_it_applies_to(klass):
    klass = klass()
    item = add(klass)
    for number in (0, 1):
        mark(klass, number, item)
    mark(klass, 2)
    rubric.edit_item(klass.store, "toy", item, grader="ben", version=1, words="tells why", points=3)
    assert [klass.exercise(n).points for n in range(3)] == [3.0, 3.0, 0.0]
    assert klass.exercise(0).judgement.marks[0].words == "tells why"


def test_a_new_item_touches_nobody(klass):
    klass = klass()
    mark(klass, 0, add(klass))
    before = klass.exercise(0).points
    add(klass, "another", 3.0)
    assert klass.exercise(0).points == before


def test_an_item_that_is_removed_counts_for_nobody(klass):
    klass = klass()
    item = add(klass)
    mark(klass, 0, item, add(klass, "an example", 1.0))
    rubric.retire_item(klass.store, "toy", item, grader="ann", version=1)
    assert klass.exercise(0).points == 1.0


def test_points_stay_between_nothing_and_the_exercise_s_own(klass):
    klass = klass()
    mark(klass, 0, add(klass, "much", 9.0))
    mark(klass, 1, add(klass, "a slip", -3.0))
    assert [klass.exercise(n).points for n in (0, 1)] == [5.0, 0.0]


def test_points_that_start_at_all_are_taken_away(klass):
    klass = klass()
    rubric.set_start(klass.store, "toy", "2-words", "full", grader="ann")
    mark(klass, 0, add(klass, "no example", -1.5))
    assert klass.exercise(0).points == 3.5


def test_a_comment_alone_leaves_the_answer_open(klass):
    klass = klass()
    marking.change(klass.store, klass.answer(0), grader="ann", comment="Ask Ben.")
    assert klass.exercise(0).status == "manual"
    assert klass.exercise(0).judgement.comment == "Ask Ben."
    assert klass.judged(0).manual_points == 5.0


def test_points_beside_the_rubric_need_a_reason(klass):
    klass = klass()
    with pytest.raises(ReviewError, match="need a reason"):
        mark(klass, 0, adjustment=1.0)
    mark(klass, 0, adjustment=1.0, reason="a new idea")
    assert klass.exercise(0).points == 1.0


def test_toggling_the_last_item_off_opens_the_answer_again(klass):
    klass = klass()
    item = add(klass)
    assert marking.toggle(klass.store, klass.answer(0), item, grader="ann").done
    assert not marking.toggle(klass.store, klass.answer(0), item, grader="ann").done
    assert klass.exercise(0).status == "manual"


def test_an_item_of_another_exercise_applies_to_none_here(klass):
    klass = klass()
    other = rubric.add_item(klass.store, "toy", "1-code", "style", -1.0, grader="ann")
    with pytest.raises(ReviewError, match="no longer in the rubric"):
        mark(klass, 0, other)


def test_a_rubric_of_an_automatic_exercise_starts_at_what_the_checks_gave(klass):
    klass = klass()
    style = rubric.add_item(klass.store, "toy", "1-code", "a loop too many", -1.0, grader="ann")
    marking.toggle(klass.store, klass.answer(0, "1-code"), style, grader="ann")
    found = klass.exercise(0, "1-code")
    assert (found.points, found.status) == (3.0, "partial")


@pytest.mark.parametrize("points", [float("nan"), float("inf"), 1e9])
def test_what_is_no_number_is_no_points(klass, points):
    klass = klass()
    with pytest.raises(ReviewError, match="points are at most"):
        add(klass, "x", points)


# --- to whom a mark belongs ---------------------------------------------------------------------


def test_marks_stay_where_the_same_answer_is_graded_again(klass):
    klass = klass()
    mark(klass, 0, add(klass))
    klass.grade(*(result_of(number) for number in range(3)))
    assert klass.exercise(0).points == 2.0


def test_an_answer_that_has_changed_is_open_again(klass):
    klass = klass()
    mark(klass, 0, add(klass))
    klass.grade(result_of(0, "# Review\n\nSomething else."))
    assert klass.exercise(0).status == "manual"


def test_two_with_one_name_and_one_file_have_marks_of_their_own(empty):
    same = [result_of(0, "# Review\n\nAlike.", path=f"{folder}/x/toy.zip") for folder in ("a", "b")]
    empty.grade(*same)
    mark(empty, 0, add(empty))
    assert [empty.exercise(n).status for n in (0, 1)] == ["partial", "manual"]


def test_the_platform_s_key_tells_two_of_one_name_apart(empty):
    empty.grade(
        *(result_of(0, "# Review\n\nAlike.", path="same.zip",
                    origin=Origin("moodle", "Anna Meier", {"participant": key}))
          for key in ("1001", "1002"))
    )  # fmt: skip
    mark(empty, 1, add(empty))
    assert [empty.exercise(n).status for n in (0, 1)] == ["manual", "partial"]


def test_the_export_s_next_name_of_a_student_changes_nothing(empty):
    origin = Origin("moodle", "Anna Meier", {"participant": "1001"})
    empty.grade(result_of(0, path="export-1/a.zip", origin=origin))
    mark(empty, 0, add(empty))
    empty.grade(result_of(0, path="export-2/b.zip", origin=origin))
    assert empty.exercise(0).points == 2.0


def test_an_untouched_prompt_is_not_answered_and_not_open(empty):
    empty.grade(result_of(0, PROMPT), result_of(1))
    mark(empty, 1, add(empty))
    found = empty.exercise(0)
    assert (found.status, found.points, found.judgement.answered) == ("missing", 0.0, False)
    assert empty.judged(0).manual_points == 0.0


def test_a_person_may_give_points_for_an_untouched_prompt(empty):
    empty.grade(result_of(0, PROMPT))
    mark(empty, 0, add(empty))  # it was handed in on paper
    assert empty.exercise(0).points == 2.0


def test_a_picture_under_an_untouched_prompt_is_an_answer(empty):
    result = result_of(0, PROMPT)
    (cell,) = result.evidence.answers["2-words"]
    scanned = replace(cell, attachments={"scan.png": {"image/png": "AAAA"}})
    evidence = replace(result.evidence, answers={"2-words": (scanned,)})
    empty.grade(replace(result, evidence=evidence))
    assert answers_of(empty.store, empty.runs[-1])[0, "2-words"].answered


# --- two graders --------------------------------------------------------------------------------


def test_who_was_slower_is_told_and_overwrites_nothing(klass):
    klass = klass()
    first, second = add(klass), add(klass, "an example", 1.0)
    stands = marking.toggle(klass.store, klass.answer(0), first, grader="ann", version=0)
    with pytest.raises(marking.Conflict, match="ann has changed this answer") as caught:
        marking.toggle(klass.store, klass.answer(0), second, grader="ben", version=0)
    assert caught.value.stands.items == stands.items == {first}
    assert klass.exercise(0).points == 2.0


def test_an_item_that_somebody_else_has_changed_is_not_overwritten(klass):
    klass = klass()
    item = add(klass)
    rubric.edit_item(klass.store, "toy", item, grader="ann", version=1, words="a", points=1)
    with pytest.raises(ReviewError, match="somebody else has changed"):
        rubric.edit_item(klass.store, "toy", item, grader="ben", version=1, words="b", points=2)
    assert rubric.item_of(klass.store, "toy", item).words == "a"


def test_each_change_stands_in_the_history_with_who_and_what(klass):
    klass = klass()
    item = add(klass)
    mark(klass, 0, item, comment="Good.")
    rubric.edit_item(klass.store, "toy", item, grader="ben", version=1, words="tells", points=1)
    told = [(c.grader, c.what, c.before, c.after) for c in changes(klass.store, "toy")]
    assert told == [
        ("ben", "rubric: item changed", "says why (+2)", "tells (+1)"),
        ("ann", "marked", "open", "says why; “Good.”"),
        ("ann", "rubric: new item", "", "says why (+2)"),
    ]


def test_what_changes_nothing_is_no_change(klass):
    klass = klass()
    item = add(klass)
    first = mark(klass, 0, item)
    assert mark(klass, 0, item) == first
    assert len(changes(klass.store, "toy")) == 2


# --- the machine's verdict ----------------------------------------------------------------------


def test_another_verdict_for_one_student_stands_beside_the_machine_s(klass):
    klass = klass(passed=False)
    overrides.overrule(klass.store, "toy", "1-code", "doubles", grader="ann", credit=1.0,
                       reason="9 is right here", subject=klass.answer(0).subject)  # fmt: skip
    found = klass.exercise(0, "1-code")
    assert (found.points, found.status) == (4.0, "passed")
    (check,) = found.checks
    assert (check.outcome, check.machine, check.overruled) == (
        "passed",
        "failed",
        "9 is right here",
    )
    assert "The check itself failed and said: double(3) is 9" in check.message
    assert klass.exercise(1, "1-code").points == 0.0


def test_another_verdict_for_one_answer_is_not_for_the_next_one_of_the_student(klass):
    klass = klass(1, passed=False)
    answer = klass.answer(0, "1-code")
    overrides.overrule(klass.store, "toy", "1-code", "doubles", grader="ann", credit=0.5,
                       reason="nearly", subject=answer.subject, answer=answer.answer)  # fmt: skip
    assert klass.exercise(0, "1-code").points == 2.0
    klass.grade(result_of(0, code="return x + x"))
    assert klass.exercise(0, "1-code").points == 4.0


def test_another_verdict_for_all_with_that_trace(empty):
    empty.grade(*(result_of(n, passed=False, trace=trace) for n, trace in enumerate("aab")))
    overrides.overrule(empty.store, "toy", "1-code", "doubles", grader="ann", credit=0.5,
                       reason="nearly", trace="a")  # fmt: skip
    assert [empty.exercise(n, "1-code").points for n in range(3)] == [2.0, 2.0, 0.0]


def test_a_verdict_that_is_taken_back_is_the_machine_s_again(klass):
    klass = klass(passed=False)
    made = overrides.overrule(klass.store, "toy", "1-code", "doubles", grader="ann", credit=1.0,
                              reason="x", subject=klass.answer(0).subject)  # fmt: skip
    overrides.withdraw(klass.store, "toy", made, grader="ben")
    assert klass.exercise(0, "1-code").points == 0.0
    assert klass.exercise(0, "1-code").checks[0].machine is None


def test_another_verdict_needs_a_reason_and_somebody_whom_it_is_for(klass):
    klass = klass(passed=False)
    with pytest.raises(ReviewError, match="needs a reason"):
        overrides.overrule(klass.store, "toy", "1-code", "doubles", grader="ann", credit=1.0,
                           reason=" ", subject="x")  # fmt: skip
    with pytest.raises(ReviewError, match="kept no trace"):
        overrides.overrule(klass.store, "toy", "1-code", "doubles", grader="ann", credit=1.0,
                           reason="x")  # fmt: skip


def test_the_kept_result_itself_never_changes(klass):
    klass = klass(passed=False)
    before = klass.store.results(klass.run.id)[0]
    mark(klass, 0, add(klass))
    overrides.overrule(klass.store, "toy", "1-code", "doubles", grader="ann", credit=1.0,
                       reason="x", subject=klass.answer(0).subject)  # fmt: skip
    assert klass.store.results(klass.run.id)[0] == before


# --- the file -----------------------------------------------------------------------------------


def test_a_file_of_the_first_version_gets_the_tables_and_keeps_its_results(tmp_path):
    file = tmp_path / "old.sqlite"
    connection = sqlite3.connect(file)
    for statement in STEPS[1]:
        connection.execute(statement)
    connection.execute("PRAGMA user_version = 1")
    connection.execute(
        "INSERT INTO runs (begun, assignment, title, submissions, settings) "
        "VALUES (1.0, 'toy', 'Old', 1, '{}')"
    )
    connection.commit()
    connection.close()
    with open_store(file) as store:
        assert [run.title for run in store.runs()] == ["Old"]
        assert rubric.add_item(store, "toy", "a", "words", 1.0, grader="ann")
        assert store.connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)
        assert store.connection.execute("PRAGMA foreign_key_check").fetchall() == []


def test_what_was_said_of_a_student_in_no_run_any_more_is_nowhere_in_the_file(klass):
    klass = klass()
    mark(klass, 0, add(klass), comment="Zwischenbemerkung")
    index_all(klass.store, "toy")
    klass.store.forget(klass.run.id)
    assert b"Zwischenbemerkung" not in klass.file.read_bytes()
    assert klass.store.connection.execute("SELECT count(*) FROM gradings").fetchone() == (0,)


def test_marks_of_who_is_in_another_run_stay_when_one_is_forgotten(klass):
    klass = klass()
    mark(klass, 0, add(klass))
    klass.grade(*(result_of(number) for number in range(3)))
    index_all(klass.store, "toy")
    klass.store.forget(klass.runs[0])
    assert klass.exercise(0).points == 2.0
