"""`grade regrade`: what a changed check touches is graded again, and nobody loses silently."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from grader.assignment import load_assignment
from grader.assignment.check_fingerprints import (
    changed_checks,
    check_fingerprints,
    fingerprints_by_check,
    touched,
)
from grader.batch.store import open_store
from grader.records import Assignment, Exercise, ExerciseScore, Outcome, Result, Rules
from grader.review.history import changes
from grader.review.regrading import OneExercise
from grader.score import FINE
from grader.suite import open_suite

from .conftest import Class, notebook

REFERENCE = Path(__file__).parents[2] / "reference"
RIGHT = "reference.double(3.0)"
WRONG = "reference.double(3.0) + 1"


def run(klass, *arguments, code=0):
    done = subprocess.run(
        [sys.executable, "-m", "grader", *arguments],
        env=dict(klass.environment, GRADE_ASSIGNMENTS=str(klass.reference)),
        cwd=klass.root,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def change_check(klass, before, after):
    file = klass.reference / "toy" / "hidden" / "test_toy.py"
    file.write_text(file.read_text().replace(before, after))


def scores(klass, of="latest"):
    found = json.loads(run(klass, "results", of, "--json", "-").stdout)
    return [submission["score"] for submission in found["submissions"]]


@pytest.fixture(scope="module")
def regraded(tmp_path_factory):
    """A class of three; then a check of `b` is wrong, and then it is mended."""
    klass = Class(tmp_path_factory.mktemp("regraded"))
    klass.fill(3)
    (klass.handed_in / "Bad_Zip.zip").write_bytes(b"PK")
    run(klass, "handed in", "--jobs", "1")
    nothing = run(klass, "regrade")
    change_check(klass, RIGHT, WRONG)
    told = SimpleNamespace(klass=klass, nothing=nothing)
    told.asked = run(klass, "regrade", "--jobs", "1", code=1)
    with open_store(klass.results) as store:
        told.runs_then = [run.id for run in store.runs()]
    told.lower = run(klass, "regrade", "1", "--lower", "twice 3 is 7", "--jobs", "1")
    told.lowered = scores(klass)
    change_check(klass, WRONG, RIGHT)
    klass.hand_in("Meier_Cx", more="more = 1")  # who hands in again is graded by `grade`
    told.mend = run(klass, "regrade", "--reason", "it is 6", "--jobs", "1", "--json", "gains.json")
    told.mended = scores(klass)
    told.afresh = run(klass, "regrade", "1", "--only", "b", "--afresh", "--jobs", "2")
    change_check(
        klass, "    assert_close(student", "    student.double(4.0)\n    assert_close(student"
    )
    told.more = run(klass, "regrade", "1", "--jobs", "2")
    change_check(klass, "    student.double(4.0)\n", "    assert student.double(4.0)\n")
    told.more_again = run(klass, "regrade", "1", "--jobs", "2")
    return told


slow = pytest.mark.slow


@slow
def test_where_no_check_has_changed_nothing_is_graded(regraded):
    assert "no check has changed since run 1" in regraded.nothing.stdout


@slow
def test_who_would_lose_points_is_named_and_nothing_is_changed(regraded):
    assert "3 would lose points: Ax Meier, Bx Meier, Cx Meier" in regraded.asked.stderr
    assert "0 up, 3 down" in regraded.asked.stdout
    assert "graded again: b\n" in regraded.asked.stderr
    assert regraded.runs_then == [1]
    assert scores(regraded.klass, "1") == [None, 2.0, 6.0, 6.0]


@slow
def test_no_notebook_runs_where_the_checks_ask_what_they_asked(regraded):
    assert "4 submissions: 3 from kept answers, 1 not graded\n" in regraded.asked.stderr
    assert "4 submissions: 3 as graded before, 1 not graded\n" in regraded.lower.stderr


@slow
def test_a_notebook_runs_again_where_a_check_asks_something_new_or_it_is_wanted(regraded):
    assert "4 submissions: 3 anew, 1 not graded\n" in regraded.afresh.stderr
    assert "4 submissions: 3 anew, 1 not graded\n" in regraded.more.stderr
    assert "4 submissions: 3 from kept answers, 1 not graded\n" in regraded.more_again.stderr


@slow
def test_a_reason_lets_them_lose_and_what_was_graded_is_not_graded_twice(regraded):
    assert regraded.lowered == [None, 0.0, 4.0, 4.0]
    assert "kept" in regraded.lower.stderr


@slow
def test_who_gains_is_shown_and_other_work_keeps_its_verdict(regraded):
    assert regraded.mended == [None, 2.0, 6.0, 4.0]
    assert "2 changed (2 up, 0 down)" in regraded.mend.stdout
    assert "1 with other work since, whose verdicts stay: `grade` grades it: Cx Meier" in (
        regraded.mend.stderr
    )
    gains = json.loads((regraded.klass.root / "gains.json").read_text())
    assert [c["checks"][0]["exercise"] for c in gains["changed"]] == ["b", "b"]


@slow
def test_each_grade_that_changed_is_in_the_history_with_its_reason(regraded):
    with open_store(regraded.klass.results) as store:
        found = changes(store, "toy")
        (mended,) = store.runs(6)
    assert [(c.what, c.before.partition(" ")[0], c.after.partition(" ")[0]) for c in found] == [
        ("graded again: b", "4", "6"),
        ("graded again: b", "0", "2"),
        ("graded again: b", "6", "4"),
        ("graded again: b", "6", "4"),
        ("graded again: b", "2", "0"),
    ]
    assert found[0].after.endswith(": it is 6")
    assert found[-1].after.endswith(": twice 3 is 7")
    assert (mended.about["reason"], mended.about["exercises"]) == ("it is 6", ["b"])


@slow
def test_the_history_of_a_grade_is_shown_with_who_and_why(regraded):
    shown = run(regraded.klass, "results", "latest", "--history", "--student", "bx").stdout
    lines = [line.split("  ", 1)[1] for line in shown.splitlines()]
    assert lines[0].startswith("run 1: 6 / 6")
    assert "graded again: b: 6 (run 1) → 4 (run 4): twice 3 is 7" in shown
    assert "graded again: b: 4 (run 4) → 6 (run 6): it is 6" in shown
    assert sum(": graded again: b: " in line for line in lines) == 2
    assert "Ax" not in shown


TWO_CHECKS = """\
import pytest

from grader.checks import assert_close


@pytest.mark.exercise("b", points=1, hidden=True)
@pytest.mark.parametrize("x", [3.0, 4.0])
def test_double_of(student, x):
    assert_close(student.double(x), 2 * x, called="double(x)")


@pytest.mark.exercise("b", points=0, hidden=True)
def test_is_heard(student):
    with open(LOG, "a") as log:
        log.write(f"{student.double(1.0)} ")
"""


@slow
def test_of_an_exercise_only_the_check_that_has_changed_runs_again(tmp_path):
    klass = Class(tmp_path)
    klass.hand_in("Meier_Ax")
    klass.hand_in("Meier_Bx", double="return 3 * x")
    log = tmp_path / "log"
    checks = klass.reference / "toy" / "hidden" / "test_toy.py"
    checks.write_text(TWO_CHECKS.replace("LOG", repr(str(log))))
    run(klass, "handed in", "--jobs", "1", code=0)
    heard = log.read_text()
    change_check(klass, "2 * x, called", "2 * x, rtol=0.6, called")
    told = run(klass, "regrade", "--jobs", "1").stderr
    assert "graded again: b, 1 of its 2 checks\n" in told
    assert "2 submissions: 2 from kept answers\n" in told
    assert log.read_text() == heard
    assert scores(klass) == [6.0, 6.0]
    with open_store(klass.results) as store:
        latest = store.runs()[0]
        (_, result) = store.results(latest.id)
        names = [check.name for exercise in result.exercises for check in exercise.checks]
    assert names == ["mean of squares", "double of[3.0]", "double of[4.0]", "is heard"]
    assert run(klass, "regrade").stdout == (
        f"no check has changed since run {latest.id}: --only names an exercise\n"
    )


# --- without a kernel -----------------------------------------------------------------------------


@pytest.fixture
def toy(tmp_path):
    return Class(tmp_path)


def prints(klass):
    return check_fingerprints(load_assignment(klass.reference / "toy"))


def differ(klass, change):
    before = prints(klass)
    change()
    now = prints(klass)
    return [name for name in now if now[name] != before[name]]


def test_a_changed_check_touches_its_exercise_alone(toy):
    assert differ(toy, lambda: change_check(toy, RIGHT, WRONG)) == ["b"]


def test_a_comment_touches_nothing(toy):
    assert differ(toy, lambda: toy.add_to_checks("\n# nothing\n")) == []


def test_a_helper_touches_what_its_file_checks_and_a_module_beside_it_all(toy):
    assert differ(toy, lambda: toy.add_to_checks("\nTOLERANCE = 1\n")) == ["a"]
    module = toy.reference / "toy" / "helper.py"
    assert differ(toy, lambda: module.write_text("x = 1")) == ["a", "b"]


def test_points_and_limits_of_the_assignment_count_and_its_deadline_does_not(toy):
    file = toy.reference / "toy" / "assignment.toml"
    assert differ(toy, lambda: toy.limit("check_s", 20)) == ["a", "b"]
    text = file.read_text().replace("[limits]", "[deadline]\nlate_days = 3\n\n[limits]")
    assert differ(toy, lambda: file.write_text(text)) == []


@pytest.mark.parametrize(
    "left", ["hidden/__pycache__/test_toy.cpython-311.pyc", ".ipynb_checkpoints/toy.ipynb",
             "known/toy.json.z", "samples/wrong.toml"]
)  # fmt: skip
def test_what_programs_leave_in_an_assignment_touches_nothing(toy, left):
    """Python writes the first when it imports a hidden check."""
    file = toy.reference / "toy" / left
    file.parent.mkdir(parents=True, exist_ok=True)
    assert differ(toy, lambda: file.write_text("")) == []


def test_what_builds_on_a_touched_exercise_is_graded_with_it():
    exercises = [Exercise("a", "", 1), Exercise("b", "", 1, follows=("a",)), Exercise("c", "", 1)]
    now = {"a": "1", "b": "1", "c": "1"}
    assert touched(now | {"a": "0"}, now, exercises) == ["a", "b"]
    assert touched(now | {"b": "0"}, now, exercises) == ["a", "b"]
    assert touched(now | {"c": "0"}, now, exercises) == ["c"]


def changed(klass, change):
    """Return the checks of exercise a that alone have changed."""
    assignment = load_assignment(klass.reference / "toy")
    before = fingerprints_by_check(assignment)["a"]
    change()
    now = fingerprints_by_check(load_assignment(klass.reference / "toy"))["a"]
    return changed_checks(before, now, assignment.exercises[0])


def test_a_check_that_alone_has_changed_is_named(toy):
    more = '\n\n@pytest.mark.exercise("a", points=0)\ndef test_more(student):\n    pass\n'
    assert changed(toy, lambda: toy.add_to_checks(more)) == ["more"]
    file = toy.reference / "toy" / "test_toy.py"
    text = file.read_text()
    assert changed(toy, lambda: file.write_text(text.replace("size=7", "size=8"))) == [
        "mean of squares"
    ]


@pytest.mark.parametrize("name", ["numerics", "pw02"])
def test_checks_are_named_in_the_order_in_which_they_run(name):
    assignment = load_assignment(REFERENCE / name)
    with open_suite(assignment) as suite:
        ran = {exercise.id: {} for exercise in assignment.exercises}
        for check in suite.checks:
            ran[check.exercise.id][check.name.partition("[")[0]] = None
    named = fingerprints_by_check(assignment)
    assert {id_: [name for name in one if name] for id_, one in named.items()} == {
        id_: [*one] for id_, one in ran.items()
    }


def test_a_check_that_another_one_calls_counts_for_it_too(toy):
    mark = '\n\n@pytest.mark.exercise("a", points=0)\n'
    toy.add_to_checks(f"{mark}def test_more(student):\n    return 1\n")
    toy.add_to_checks(f"{mark}def test_most(student):\n    test_more(student)\n")
    file = toy.reference / "toy" / "test_toy.py"
    text = file.read_text().replace("return 1", "return 2")
    assert changed(toy, lambda: file.write_text(text)) == ["more", "most"]


@pytest.mark.parametrize(
    "change",
    [
        lambda klass: klass.add_to_checks("\nTOLERANCE = 1\n"),
        lambda klass: klass.limit("check_s", 20),
        lambda klass: (klass.reference / "toy" / "helper.py").write_text("x = 1"),
        lambda klass: None,
    ],
)
def test_what_counts_for_every_check_of_an_exercise_changes_no_check_alone(toy, change):
    assert changed(toy, lambda: change(toy)) == []


def test_in_an_exercise_of_several_functions_each_check_counts():
    several = Exercise("a", "", 1, functions=("f", "g"))
    assert changed_checks({"": "1", "x": "1"}, {"": "1", "x": "2"}, several) == []
    one = Exercise("a", "", 1, functions=("f",))
    assert changed_checks({"": "1", "x": "1"}, {"": "1", "x": "2"}, one) == ["x"]
    assert changed_checks({}, {"": "1", "x": "2"}, one) == []


def outcome(name, credit, penalty=0.0):
    kind = "passed" if credit == 1.0 else "failed"
    return Outcome("a", name, kind, credit, 0.0 if penalty else 2.0, penalty=penalty)


def merged(old, new, changed, names):
    """Return (points, names) of an exercise of which some checks were graded again."""
    assignment = Assignment(
        "toy", "Toy", Path(), (Exercise("a", "", 4),), (), (), rules=Rules(deduction=0.5)
    )
    part = OneExercise(assignment, "a", changed, names)
    then, now = (
        Result("a.zip", (), "graded", exercises=(ExerciseScore("a", "", 0, 0, "passed", checks),))
        for checks in (old, new)
    )
    (exercise,) = part.put_into(then, now).exercises
    return exercise.points, [check.name for check in exercise.checks]


def test_what_was_graded_again_stands_in_its_place_and_a_check_that_is_gone_is_dropped():
    old = (outcome("x", 1.0), outcome("gone", 1.0), outcome("y[1]", 0.0), outcome("z", 0.5))
    new = (outcome("y[1]", 1.0), outcome("y[2]", 1.0), outcome("new", 1.0))
    found = merged(old, new, ["y", "new"], ["x", "y", "new", "z"])
    assert found == (9.0, ["x", "y[1]", "y[2]", "new", "z"])


def test_a_broken_rule_costs_its_share_of_the_whole_exercise_once():
    fine = outcome(FINE, 0.0, penalty=1.0)
    old, new = (outcome("x", 1.0), outcome("y", 0.0)), (outcome("y", 1.0),)
    assert merged(old, new, ["y"], ["x", "y"]) == (4.0, ["x", "y"])
    for first, second in ((fine,), ()), ((), (fine,)), ((fine,), (fine,)):
        found = merged((*old, *first), (*new, *second), ["y"], ["x", "y"])
        assert found == (2.0, ["x", "y", FINE])


def test_a_joined_class_of_two_exports_is_graded_again(toy):
    def export(name, numbers):
        path = toy.root / name
        with zipfile.ZipFile(path, "w") as archive:
            for number in numbers:
                folder = f"Meier {chr(65 + number)}_{number}_assignsubmission_file"
                archive.writestr(f"{folder}/toy.ipynb", notebook(more=f"who = {number}"))
        return path

    for name, numbers in (("first.zip", range(3)), ("late.zip", range(3, 5))):
        toy.grade("--jobs", "1", paths=[export(name, numbers)])
    run(toy, "results", "1", "2", "--join")
    assert "no check has changed" in run(toy, "regrade", "--jobs", "1").stdout
    change_check(toy, RIGHT, WRONG)
    done = run(toy, "regrade", "--jobs", "1", "--lower", "it is 7")
    assert "not found" not in done.stderr
    assert scores(toy) == [4.0] * 5


def test_a_run_of_an_earlier_version_needs_the_exercises_named(toy):
    with open_store(toy.results) as store:
        store.begin(assignment="toy", title="Toy", submissions=0, settings={}, key="").end("")
    assert "name the exercises with --only" in run(toy, "regrade", code=2).stderr


def test_a_reason_is_one(toy):
    assert "A reason is needed" in run(toy, "regrade", "--only-up", " ", code=2).stderr
    both = ["--only-up", "x", "--lower", "y"]
    assert "exclude each other" in run(toy, "regrade", *both, code=2).stderr
