"""What differs between two runs: whose score, and by which check."""

import io
import json

import pytest
from rich.console import Console

from grader.records import ExerciseScore, Outcome, Result, RunRecord
from grader.report.changes import (
    changes_as_json,
    find_changes,
    runs_as_json,
    show_changes,
    show_runs,
)


def result(name="Ann", path=None, status="graded", message="", **points):
    """A Result with a check of 4 points for each name in points."""
    checks = tuple(
        Outcome("1", check, "passed" if p == 4 else "failed", p / 4, 4.0, message="the sign")
        for check, p in points.items()
    )
    score = float(sum(points.values()))
    exercise = ExerciseScore("1", "One", score, 4.0 * len(checks), "partial", checks)
    return Result(
        path or f"{name}.zip",
        (name,),
        status,
        message,
        score=score,
        max_score=4.0 * len(checks),
        exercises=(exercise,),
    )


def run(id, **more):
    fields = {
        "begun": 0.0, "ended": 60.0, "assignment": "pw02", "title": "Descent", "submissions": 2,
        "results": 2, "kept": 1, "not_graded": 0, "mean_percent": 62.5, "isolation": "",
        "settings": {"seed": 3, "only": ["3b"], "public": True, "sandbox": "strict"},
    }  # fmt: skip
    return RunRecord(id, **(fields | more))


def shown(show, *arguments, **options):
    console = Console(file=io.StringIO(), width=80, color_system=None, **options)
    show(*arguments, console)
    return console.file.getvalue()


def test_a_changed_score_names_the_check_that_made_the_difference():
    changes = find_changes([result(sign=0, shape=4)], [result(sign=4, shape=4)])
    (change,) = changes.changed
    assert [(c.exercise, c.name, c.gained) for c in change.checks] == [("1", "sign", 4.0)]
    text = shown(show_changes, changes, run(1), run(2))
    assert "Ann  4 / 8 → 8 / 8  +4" in text
    assert "1: sign  failed → passed  +4" in text
    assert "1 changed (1 up, 0 down), 0 as before" in text


def test_a_lost_check_says_what_is_wrong_now():
    text = shown(show_changes, find_changes([result(sign=4)], [result(sign=1)]), run(1), run(2))
    assert "Ann  4 / 4 → 1 / 4  -3" in text
    assert "│ the sign" in text


def test_who_is_as_before_is_counted_alone():
    changes = find_changes([result(sign=1), result("Bea", sign=2)], [result(sign=1)])
    assert (changes.changed, changes.as_before) == ((), 1)
    assert [r.students for r in changes.gone] == [("Bea",)]


def test_the_same_student_is_found_in_another_file():
    changes = find_changes([result(path="old/a.zip", sign=1)], [result(path="new/b.zip", sign=4)])
    assert len(changes.changed) == 1
    assert changes.new == changes.gone == ()


def test_two_of_one_name_are_told_apart_by_their_paths():
    before = [result(path="a.zip", sign=1), result(path="b.zip", sign=2)]
    after = [result(path="b.zip", sign=2), result(path="a.zip", sign=3)]
    (change,) = find_changes(before, after).changed
    assert change.after.path == "a.zip"


def test_a_check_that_moved_points_to_another_is_told_though_the_score_is_the_same():
    (change,) = find_changes([result(sign=1, shape=3)], [result(sign=3, shape=1)]).changed
    assert [c.gained for c in change.checks] == [2.0, -2.0]
    assert change.gained == 0.0


def test_a_check_that_was_not_there_is_told():
    (change,) = find_changes([result(sign=4)], [result(sign=4, shape=0)]).changed
    assert change.checks[0].before is None
    text = shown(show_changes, find_changes([result(sign=4)], [result(sign=4, shape=0)]),
                 run(1), run(2))  # fmt: skip
    assert "1: shape  not there → failed" in text


def test_a_deduction_counts_as_a_check_of_its_own():
    whole = result(sign=4)
    (exercise,) = whole.exercises
    fined = ExerciseScore("1", "One", 2.0, 4.0, "partial", exercise.checks)
    after = Result("Ann.zip", ("Ann",), "graded", score=2.0, max_score=4.0, exercises=(fined,))
    (change,) = find_changes([whole], [after]).changed
    assert [(c.name, c.gained) for c in change.checks] == [("a broken rule", -2.0)]


def test_a_submission_that_is_refused_now_says_why():
    changes = find_changes(
        [result(sign=4)], [Result("Ann.zip", ("Ann",), "refused", "the zip is cut off")]
    )
    text = shown(show_changes, changes, run(1), run(2))
    assert "Ann  4 / 4 → refused" in text
    assert "the zip is cut off" in text


def test_what_a_student_wrote_is_harmless():
    old, new = result("\x1b[2J[bold]Eve", sign=1), result("\x1b[2J[bold]Eve", sign=4)
    text = shown(show_changes, find_changes([old], [new]), run(1), run(2))
    assert "\x1b" not in text
    assert "[bold]Eve" in text


def test_the_changes_as_json():
    changes = find_changes([result(sign=1)], [result(sign=4), result("Bea", sign=4)])
    told = json.loads(changes_as_json(changes, run(1), run(2)))
    assert (told["before"], told["after"], told["as_before"]) == (1, 2, 0)
    assert told["changed"] == [
        {
            "path": "Ann.zip",
            "students": ["Ann"],
            "before": {"status": "graded", "score": 1.0, "max_score": 4.0},
            "after": {"status": "graded", "score": 4.0, "max_score": 4.0},
            "checks": [
                {
                    "exercise": "1",
                    "name": "sign",
                    "before": {"outcome": "failed", "points": 1.0},
                    "after": {"outcome": "passed", "points": 4.0},
                }
            ],
        }
    ]
    assert told["new"] == [{"path": "Bea.zip", "students": ["Bea"]}]


def test_runs_are_listed_with_what_was_asked_for():
    text = shown(show_runs, [run(12), run(3, results=1, ended=None, mean_percent=None)])
    assert "62 %  seed 3 --only 3b --public --sandbox strict" in text
    assert "1 of 2, not finished" in text
    assert [line.split()[0] for line in text.splitlines()] == ["run", "12", "3"]


@pytest.mark.parametrize("ended", [60.0, None])
def test_runs_as_json(ended):
    (told,) = json.loads(runs_as_json([run(12, ended=ended)]))["runs"]
    assert told["run"] == 12
    assert told["begun"] == "1970-01-01T00:00:00Z"
    assert told["ended"] == ("1970-01-01T00:01:00Z" if ended else None)
    assert told["mean_percent"] == 62.5
