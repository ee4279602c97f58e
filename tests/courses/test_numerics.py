"""The sheet on numerical methods, through the whole command: files, and functions as arguments."""

import shutil

COURSE = "numerics"
NOTEBOOK = "numerics.ipynb"


def test_a_single_solved_notebook_earns_every_point_without_its_files(course):
    submission = course.grade(course.written(NOTEBOOK, course.solved(NOTEBOOK)))
    assert course.lost(submission) == {}
    assert course.points(submission) == (30.0, 30.0, 2.0)
    assert submission["notes"] == []


def test_a_bare_stub_runs_and_scores_nothing(course):
    submission = course.grade(course.written(NOTEBOOK, course.bare(NOTEBOOK)))
    assert course.points(submission) == (0.0, 30.0, 2.0)
    assert {e["status"] for e in submission["exercises"]} == {"missing", "manual"}
    assert submission["notes"] == []


def test_mistakes_lose_exactly_their_exercises_and_are_told_why(course):
    wrong = course.filled(
        NOTEBOOK,
        {
            "bisection": "return (a + b) / 2",
            "simpson": "return trapezoid(f, a, b, n)",
            "fit_cooling": "A, k = np.exp(1.0), 0.04\nreturn A",
        },
    )
    messages = course.lost(course.grade(course.written(NOTEBOOK, wrong)))
    assert set(messages) == {"1-bisection", "2-simpson", "5-fit"}
    assert "raised nothing; it must raise ValueError" in messages["1-bisection"]
    assert "simpson: the error falls as h^2.0, and as h^4 it must" in messages["2-simpson"]
    assert "does not return two results" in messages["5-fit"]


def test_a_table_that_was_changed_is_graded_with_the_one_that_was_given_out(course):
    archive = course.zipped(
        "Curie_Marie.zip",
        {
            NOTEBOOK: course.solved(NOTEBOOK),
            "data/cooling.csv": "minute,celsius\n0,100\n",
            "convergence.py": (course.reference / "convergence.py").read_text(),
        },
    )
    submission = course.grade(archive)
    assert submission["score"] == 30.0
    (note,) = submission["notes"]
    assert note["message"] == "data/cooling.csv was changed: graded with what was given out"


def test_what_is_forbidden_costs_its_exercise(course):
    wrong = course.filled(
        NOTEBOOK,
        {"observed_order": "return np.polyfit(np.log(h), np.log(errors), 1)[0]"},
    )
    messages = course.lost(course.grade(course.written(NOTEBOOK, wrong)))
    assert set(messages) == {"3-order"}
    assert "`np.polyfit` is not allowed here" in messages["3-order"]


def test_a_students_copy_gives_the_same_verdicts_with_its_own_files(course):
    copy = course.students_copy()
    wrong = course.filled(NOTEBOOK, {"newton": "return x0 - f(x0) / df(x0)"})
    shutil.copy(course.written(NOTEBOOK, wrong), copy / NOTEBOOK)
    at_home = course.without_times(course.grade_at_home(copy, NOTEBOOK))
    at_school = course.without_times(course.grade(copy / NOTEBOOK, "--public"))
    assert set(course.lost(at_home)) == {"1-newton"}
    checks = [[e["checks"] for e in s["exercises"]] for s in (at_home, at_school)]
    assert checks[0] == checks[1]
