"""`grade regrade`: what a changed check touches is graded again, and nobody loses silently."""

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from grader.assignment import load_assignment
from grader.assignment.check_fingerprints import check_fingerprints, touched
from grader.batch.store import open_store
from grader.records import Exercise
from grader.review.history import changes

from .conftest import Class

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
        latest = store.runs()[0]
    assert [(c.what, c.before.partition(" ")[0], c.after.partition(" ")[0]) for c in found] == [
        ("graded again: b", "4", "6"),
        ("graded again: b", "0", "2"),
        ("graded again: b", "6", "4"),
        ("graded again: b", "6", "4"),
        ("graded again: b", "2", "0"),
    ]
    assert found[0].after.endswith(": it is 6")
    assert found[-1].after.endswith(": twice 3 is 7")
    assert (latest.about["reason"], latest.about["exercises"]) == ("it is 6", ["b"])


@slow
def test_the_history_of_a_grade_is_shown_with_who_and_why(regraded):
    shown = run(regraded.klass, "results", "latest", "--history", "--student", "bx").stdout
    lines = [line.split("  ", 1)[1] for line in shown.splitlines()]
    assert lines[0].startswith("run 1: 6 / 6")
    assert "graded again: b: 6 (run 1) → 4 (run 4): twice 3 is 7" in shown
    assert "graded again: b: 4 (run 4) → 6 (run 6): it is 6" in shown
    assert len(lines) == 5
    assert "Ax" not in shown


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


def test_what_builds_on_a_touched_exercise_is_graded_with_it():
    exercises = [Exercise("a", "", 1), Exercise("b", "", 1, follows=("a",)), Exercise("c", "", 1)]
    now = {"a": "1", "b": "1", "c": "1"}
    assert touched(now | {"a": "0"}, now, exercises) == ["a", "b"]
    assert touched(now | {"b": "0"}, now, exercises) == ["a", "b"]
    assert touched(now | {"c": "0"}, now, exercises) == ["c"]


def test_a_run_of_an_earlier_version_needs_the_exercises_named(toy):
    with open_store(toy.results) as store:
        store.begin(assignment="toy", title="Toy", submissions=0, settings={}, key="").end("")
    assert "name the exercises with --only" in run(toy, "regrade", code=2).stderr


def test_a_reason_is_one(toy):
    assert "A reason is needed" in run(toy, "regrade", "--only-up", " ", code=2).stderr
    both = ["--only-up", "x", "--lower", "y"]
    assert "exclude each other" in run(toy, "regrade", *both, code=2).stderr
