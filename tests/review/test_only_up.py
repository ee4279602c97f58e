"""`grade results --only-up`: a check was changed after the fact, and nobody loses a point by it."""

import json
from pathlib import Path

import pytest

from grader.batch.store import open_store
from grader.cli.commands import run as grade
from grader.review.history import changes
from grader.review.overrides import overrides_of, overrule, withdraw

from .conftest import result_of

REASON = "the tolerance was wrong"


@pytest.fixture
def graded_twice(klass, monkeypatch, tmp_path):
    """A class of two, graded again after a check was changed: Anna's check fails now."""
    made = klass(2)
    monkeypatch.setenv("GRADE_RESULTS", str(made.file))
    monkeypatch.chdir(tmp_path)
    made.grade(result_of(0, passed=False), result_of(1))
    return made


def scores():
    assert grade(["results", "latest", "--json", "r.json"]) == 0
    with open("r.json", encoding="utf-8") as file:  # noqa: PTH123
        return [s["score"] for s in json.load(file)["submissions"]]


def test_who_lost_points_has_them_again_and_nobody_else_changes(graded_twice, capsys):
    assert scores() == [0.0, 4.0]
    assert grade(["results", "--only-up", REASON]) == 0
    told = capsys.readouterr()
    assert "Anna Meier" in told.out  # who gains and who loses is shown as ever
    assert "1 verdict of 1 student kept, as in run 1" in told.err
    assert scores() == [4.0, 4.0]


def test_the_report_says_why_and_what_the_check_itself_says_now(graded_twice, capsys):
    grade(["results", "--only-up", REASON])
    (check,) = graded_twice.exercise(0, "1-code").checks
    assert check.overruled == f"{REASON} (as in run 1)"
    assert check.machine == "failed"


def test_it_is_in_the_history_with_its_reason(graded_twice):
    grade(["results", "--only-up", REASON])
    (change,) = changes(graded_twice.store, "toy")
    assert change.exercise == "1-code"
    assert REASON in change.after


def test_asked_again_it_adds_nothing(graded_twice, capsys):
    grade(["results", "--only-up", REASON])
    grade(["results", "--only-up", REASON])
    assert "0 verdicts of 0 students kept" in capsys.readouterr().err
    assert len(changes(graded_twice.store, "toy")) == 1


def test_who_has_more_points_now_keeps_them(klass, monkeypatch, tmp_path):
    made = klass(1, passed=False)
    monkeypatch.setenv("GRADE_RESULTS", str(made.file))
    monkeypatch.chdir(tmp_path)
    made.grade(result_of(0))
    grade(["results", "--only-up", REASON])
    assert scores() == [4.0]
    assert changes(made.store, "toy") == []


def test_new_work_that_earns_more_than_what_was_kept_has_more(klass, monkeypatch, tmp_path):
    made = klass(1, credit=0.5)
    monkeypatch.setenv("GRADE_RESULTS", str(made.file))
    monkeypatch.chdir(tmp_path)
    made.grade(result_of(0, passed=False))
    grade(["results", "--only-up", REASON])
    assert scores() == [2.0]
    made.grade(result_of(0, code="return x + x"))
    assert scores() == [4.0]
    made.grade(result_of(0))  # the same work, which the check accepts by now
    assert scores() == [4.0]


def test_new_work_that_earns_less_has_less(graded_twice):
    grade(["results", "--only-up", REASON])
    graded_twice.grade(result_of(0, passed=False, code="return 0"), result_of(1))
    assert scores() == [0.0, 4.0]
    graded_twice.grade(result_of(0, passed=False), result_of(1))
    assert scores() == [4.0, 4.0]


def test_who_lost_points_with_other_work_is_named_and_keeps_nothing(
    klass, monkeypatch, tmp_path, capsys
):
    made = klass(1)
    monkeypatch.setenv("GRADE_RESULTS", str(made.file))
    monkeypatch.chdir(tmp_path)
    made.grade(result_of(0, passed=False, code="return 0"))
    grade(["results", "--only-up", REASON])
    told = capsys.readouterr().err
    assert "0 verdicts of 0 students kept" in told
    assert "1 lost points with other work than before: Anna Meier" in told
    assert scores() == [0.0]


def test_a_verdict_that_a_person_has_lowered_is_not_raised_by_it(graded_twice):
    answer = graded_twice.answer(0, "1-code")
    overrule(graded_twice.store, "toy", "1-code", "doubles", grader="ann", credit=0.25,
             reason="copied", subject=answer.subject, answer=answer.answer)  # fmt: skip
    grade(["results", "--only-up", REASON])
    assert scores() == [1.0, 4.0]


def test_a_verdict_that_a_person_gives_afterwards_comes_before_what_was_kept(graded_twice):
    grade(["results", "--only-up", REASON])
    answer = graded_twice.answer(0, "1-code")
    overrule(graded_twice.store, "toy", "1-code", "doubles", grader="ann", credit=0.25,
             reason="copied", subject=answer.subject, answer=answer.answer)  # fmt: skip
    assert scores() == [1.0, 4.0]


def test_what_the_version_before_kept_is_a_floor_of_the_answer_then(graded_twice):
    """The file of version 2 held a fixed verdict, for whatever the student handed in later."""
    grade(["results", "--only-up", REASON])
    connection = graded_twice.store.connection
    for statement in (
        "DROP TABLE kept_answers",
        "DROP INDEX items_by_path",
        "ALTER TABLE runs DROP COLUMN about",
        "ALTER TABLE results RENAME COLUMN input_hash TO content",
        "ALTER TABLE results RENAME COLUMN cache_key TO circumstances",
        "ALTER TABLE overrides DROP COLUMN answer",
        "ALTER TABLE overrides DROP COLUMN floor",
        "PRAGMA user_version = 2",
    ):
        connection.execute(statement)
    with open_store(graded_twice.file) as store:
        ((found,),) = overrides_of(store, "toy").values()
        assert found.floor
        assert found.answer == graded_twice.answer(0, "1-code").answer
        assert found.reason == f"{REASON} (as in run 1)"
    graded_twice.grade(result_of(0, passed=False, code="return 0"), result_of(1))
    assert scores() == [0.0, 4.0]


def test_a_reason_is_needed_and_one_run_is_not_enough(klass, monkeypatch, tmp_path, capsys):
    made = klass(1)
    monkeypatch.setenv("GRADE_RESULTS", str(made.file))
    assert grade(["results", "--only-up", REASON]) == 2
    assert "There is no run of toy before" in capsys.readouterr().err
    made.grade(result_of(0, passed=False))
    assert grade(["results", "--only-up", " "]) == 2
    assert "need a reason" in capsys.readouterr().err


def listed():
    """The mean of each run that `grade results` lists, the latest first."""
    assert grade(["results", "--json", "runs.json"]) == 0
    with open("runs.json", encoding="utf-8") as file:  # noqa: PTH123
        return [run["mean_percent"] for run in json.load(file)["runs"]]


def test_the_list_of_runs_has_the_mean_of_the_points_that_students_have(graded_twice, capsys):
    assert listed() == [50.0, 100.0]
    grade(["results", "--only-up", REASON])
    assert listed() == [100.0, 100.0]
    assert "100 %  " in capsys.readouterr().out.splitlines()[-2]


def test_the_mean_of_the_checks_holds_again_where_what_was_kept_is_withdrawn(graded_twice):
    grade(["results", "--only-up", REASON])
    (floors,) = overrides_of(graded_twice.store, "toy").values()
    withdraw(graded_twice.store, "toy", floors[0].id, grader="t")
    assert listed() == [50.0, 100.0]


def test_a_run_that_nobody_has_opened_since_has_its_kept_points_in_its_mean(graded_twice):
    grade(["results", "--only-up", REASON])
    with graded_twice.store.writing():
        graded_twice.store.connection.execute("DELETE FROM answers")
    assert listed() == [100.0, 100.0]


def test_every_report_has_the_points_that_were_kept(graded_twice, capsys):
    grade(["results", "--only-up", REASON])
    capsys.readouterr()
    assert grade(["results", "latest", "--html", "pages", "--junit", "r.xml"]) == 0
    told = capsys.readouterr().out
    assert "mean 100 %, median 100 % of the automatic points" in told
    assert "fails most often" not in told
    index = Path("pages", "index.html").read_text("utf-8")
    assert "100 %" in index and "0 / 4" not in index
    assert "<failure" not in Path("r.xml").read_text("utf-8")
    assert grade(["results", "latest", "--csv", "t.csv"]) == 0
    rows = Path("t.csv").read_text("utf-8-sig").splitlines()
    (anna,) = (row for row in rows if "Anna" in row)
    assert anna.split(",")[3:6] == ["4", "4", "4"]
    capsys.readouterr()
    grade(["results", "latest", "--insight", "-"])
    assert "2 graded, mean 100 %" in capsys.readouterr().out
