"""The numerics sheet through the whole command: files, functions as arguments, a frame.

Its environment asks an index for numpy and pandas. Here nothing comes over the network: the same
course asks for one that inherits what the tests run with.
"""

import re
import shutil

import pytest

from grader import cli

from .conftest import ROOT, Course

COURSE = "numerics"
NOTEBOOK = "numerics.ipynb"


@pytest.fixture(scope="module")
def offline(tmp_path_factory):
    """The course with an environment that needs no index, built; returns the folder of it."""
    pytest.importorskip("pandas")
    root = tmp_path_factory.mktemp("offline")
    for name in ("reference", "student_templates"):
        shutil.copytree(ROOT / name / COURSE, root / name / COURSE)
    for file in root.rglob("assignment.toml"):
        text, asked = re.subn(r"(?m)^requirements = \[[^]]*\]", "inherit = true", file.read_text())
        assert asked == 1
        file.write_text(text)
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GRADE_ENVIRONMENTS", str(root / "store"))
        assert cli.run(["env", "build", COURSE, "--assignments", str(root / "reference")]) == 0
        yield root


@pytest.fixture
def course(offline, tmp_path):
    return Course(COURSE, tmp_path, offline)


def test_where_its_environment_is_missing_one_line_says_how_to_build_it(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setenv("GRADE_ENVIRONMENTS", str(tmp_path / "empty"))
    copy = Course(COURSE, tmp_path).students_copy()
    assert cli.run([str(copy / NOTEBOOK), "--assignments", str(ROOT / "reference")]) == 2
    told = "grade: the environment of numerics isn't built here: grade env build numerics\n"
    assert capsys.readouterr().err == told
    monkeypatch.chdir(copy)  # a student's own: what lies beside the notebook is named
    assert cli.run([NOTEBOOK]) == 2
    assert "grade env build numerics --assignments " in capsys.readouterr().err


def test_a_single_solved_notebook_earns_every_point_without_its_files(course):
    submission = course.grade(course.written(NOTEBOOK, course.solved(NOTEBOOK)))
    assert course.lost(submission) == {}
    assert course.points(submission) == (33.0, 33.0, 2.0)
    assert submission["notes"] == []


def test_a_bare_stub_runs_and_scores_nothing(course):
    submission = course.grade(course.written(NOTEBOOK, course.bare(NOTEBOOK)))
    assert course.points(submission) == (0.0, 33.0, 2.0)
    assert {e["status"] for e in submission["exercises"]} == {"missing", "manual"}
    assert submission["notes"] == []


def test_mistakes_lose_exactly_their_exercises_and_are_told_why(course):
    wrong = course.filled(
        NOTEBOOK,
        {
            "bisection": "return (a + b) / 2",
            "simpson": "return trapezoid(f, a, b, n)",
            "fit_cooling": "A, k = np.exp(1.0), 0.04\nreturn A",
            "fit_cups": "return table.groupby('cup').mean()",
        },
    )
    messages = course.lost(course.grade(course.written(NOTEBOOK, wrong)))
    assert set(messages) == {"1-bisection", "2-simpson", "5-fit", "5-cups"}
    assert "raised nothing; it must raise ValueError" in messages["1-bisection"]
    assert "the error falls as h^2.0; it should fall as h^4" in messages["2-simpson"]
    assert "does not return two results" in messages["5-fit"]
    assert "the frame has no column 'cup', 'A', 'k'" in messages["5-cups"]


def test_a_table_that_was_changed_is_graded_with_the_one_that_was_given_out(course):
    archive = course.zipped(
        "Curie_Marie.zip",
        {
            NOTEBOOK: course.solved(NOTEBOOK),
            "data/cooling.csv": "cup,minute,celsius\nglass,0,100\n",
            "convergence.py": (course.reference / "convergence.py").read_text(),
        },
    )
    submission = course.grade(archive)
    assert submission["score"] == 33.0
    (note,) = submission["notes"]
    assert note["message"] == "data/cooling.csv was changed: graded with the original"


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
    course.assert_same_at_home(at_home, at_school)
