"""`grade results --only-up`: a check was changed after the fact, and nobody loses a point by it."""

import json

import pytest

from grader.cli.commands import run as grade
from grader.review.history import changes

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


def test_a_reason_is_needed_and_one_run_is_not_enough(klass, monkeypatch, tmp_path, capsys):
    made = klass(1)
    monkeypatch.setenv("GRADE_RESULTS", str(made.file))
    assert grade(["results", "--only-up", REASON]) == 2
    assert "There is no run of toy before" in capsys.readouterr().err
    made.grade(result_of(0, passed=False))
    assert grade(["results", "--only-up", " "]) == 2
    assert "need a reason" in capsys.readouterr().err
