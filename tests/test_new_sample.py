"""A submission becomes a sample that `grade verify` holds, in words that students may read."""

import re
import tomllib

import pytest

from grader.errors import AssignmentError
from grader.explaining import LIKE_A_MISTAKE, LIKE_THE_SOLUTION
from grader.new_sample import finding_of, write_sample
from grader.records import Assignment, Exercise, Notebook, Outcome, Region

SOLUTION = "ds = s * (1.0 - s)\nreturn ds"
GIVES_AWAY = "s (s - 1) for s (1 - s)"


def failed(message, outcome="failed"):
    return Outcome("3b", "the slope", outcome, 0.0, 2.0, message=message)


@pytest.fixture
def assignment(tmp_path):
    """One exercise with one gap, solved."""
    notebook = Notebook("n.ipynb", (), regions={"slope": Region("slope", 3, SOLUTION, "filled")})
    exercise = Exercise("3b", "the slope", 2.0, "n.ipynb")
    return Assignment(
        "toy", "Toy", tmp_path, (exercise,), ("n.ipynb",), (), notebooks={"n.ipynb": notebook}
    )


def written(assignment, message, title, code="return s * (s - 1)", status="filled"):
    """Return the sample that is written, as read, and what students will read of it."""
    regions = [Region("slope", 3, code, status)]
    made = write_sample(assignment, failed(message), regions, name="a", title=title)
    return tomllib.loads(made.file.read_text()), made.students_read


def test_a_sample_has_the_submissions_code_and_the_instructors_words(assignment):
    code = 'grad = x.T @ "ü\\n"\n'
    read, students_read = written(assignment, "it is wrong", 'the "mean" is missing', code)
    assert (read["title"], read["kind"]) == ('the "mean" is missing', "mistake")
    assert read["regions"] == {"slope": code}
    assert "says" not in read and students_read == 'the "mean" is missing'


def test_a_title_with_the_solution_gets_words_for_students(assignment):
    message = "slope(z=[1, 2]): the result has the wrong sign\nexpected 0.25\ngot -0.25"
    read, students_read = written(assignment, message, GIVES_AWAY)
    assert read["says"] == students_read == "the result has the wrong sign"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (f"{LIKE_A_MISTAKE}the slope has a wrong sign.", "the slope has a wrong sign"),
        (f"`slope`{LIKE_THE_SOLUTION}with one sign reversed, or twice as large: both give the "
         "same here.", "the solution with one sign reversed"),
    ],
)  # fmt: skip
def test_a_known_mistake_of_the_message_says_more_than_its_finding(assignment, line, says):
    assert written(assignment, f"it is wrong\n{line}", GIVES_AWAY)[0]["says"] == says


@pytest.mark.parametrize(
    "message", ["it is s (s - 1), not s (1 - s)", "slope(z): every element of the result is wrong"]
)
def test_words_with_the_solution_or_without_meaning_are_not_said(assignment, message):
    read, students_read = written(assignment, message, GIVES_AWAY)
    assert "says" not in read and students_read == ""


def test_the_sample_expects_what_the_check_has_found_with_any_numbers(assignment):
    found = "dw(w=[0.5]): 3 of 10 elements (the first) are 1.5 times too large"
    pattern = written(assignment, f"{found}\nexpected 1", "t")[0]["expect"]["3b"]
    assert re.search(pattern, "f(x): 8 of 9 elements (the first) are 2e-05 times too large")
    assert not re.search(pattern, "f(x): 8 of 9 elements (the last) are 2e-05 times too large")


@pytest.mark.parametrize(
    ("outcome", "finding"),
    [
        (failed("f(x=(1, 2), g(3))[0]: it is: wrong."), "it is: wrong"),
        (failed("the cost (a mean): it rises"), "it rises"),
        (failed("the cost is a sum"), "the cost is a sum"),
        (failed("got 3.5, expected less"), ""),
        (failed("f(x) raised KeyError: 's * (1 - s)'", "error"), ""),
    ],
)
def test_a_finding_is_what_stands_after_the_call(outcome, finding):
    assert finding_of(outcome) == finding


def test_a_gap_without_markers_makes_no_sample(assignment):
    with pytest.raises(AssignmentError, match="markers"):
        written(assignment, "it is wrong", "t", status="missing")
