"""What grading one submission says beside its checks: notes, hints, what is left out."""

import json
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from grader import grading, not_filled_in
from grader.grading import Work
from grader.notebook import compare_with_stub, parse_notebook
from grader.records import Assignment, Exercise, ExerciseScore, Note, Options, Outcome

GAP = "def {name}(x):\n    ### START YOUR CODE ###\n    {body}\n    ### END YOUR CODE ###\n"


def gap(name, body="return 1"):
    return GAP.format(name=name, body=body)


def read(*sources, name="toy.ipynb"):
    cells = [{"cell_type": "code", "source": s, "metadata": {}, "outputs": []} for s in sources]
    return parse_notebook(json.dumps({"cells": cells, "metadata": {}}).encode(), name=name)


STUB = read(gap("double", "pass"), gap("half", "pass"), gap("plot", "pass"))


def toy(**changes):
    exercises = (
        Exercise("a", "Double", 2.0, notebook="toy.ipynb", functions=("double",)),
        Exercise("b", "Half", 3.0, notebook="toy.ipynb", functions=("half",), needs=("plot",)),
        Exercise("c", "More", 1.0, notebook="more.ipynb", functions=("more",)),
    )
    made = Assignment(
        id="toy",
        title="Toy",
        folder=Path(),
        exercises=exercises,
        notebook_names=("toy.ipynb", "more.ipynb"),
        check_files=(),
        stubs={"toy.ipynb": STUB, "more.ipynb": read(gap("more", "pass"), name="more.ipynb")},
    )
    return replace(made, **changes)


def work(*sources, **changes):
    notebook = compare_with_stub(read(*sources), STUB, functions=("double", "half"))
    made = Work("Ann", (), Path(), {"toy.ipynb": notebook})
    return replace(made, **changes)


def options(**changes):
    return replace(Options("", (), False, 0, "auto"), **changes)


# --- what is graded ---------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path):
    """Return a function that makes a file and returns its path as text."""

    def make(name):
        (tmp_path / name).write_text("")
        return str(tmp_path / name)

    return make


@pytest.mark.parametrize(
    ("public_only", "choice", "name", "at_work"),
    [
        (True, {}, "a.ipynb", True),
        (True, {}, "a.PY", True),
        (True, {}, "a.zip", False),
        (True, {"only": ("a",)}, "a.ipynb", False),
        (False, {}, "a.ipynb", False),
        (False, {"public": True}, "a.ipynb", False),
        (False, {"alone": True}, "a.ipynb", False),
        (False, {"public": True, "alone": True}, "a.ipynb", True),
        (False, {"public": True, "alone": True}, "a.zip", False),
    ],
)
def test_one_notebook_is_at_work_on_a_students_machine_or_alone_in_a_public_run(
    file, public_only, choice, name, at_work
):
    assignment = toy(public_only=public_only)
    assert grading._is_at_work(file(name), assignment, options(**choice)) is at_work


def test_a_folder_is_handed_in_not_at_work(tmp_path):
    (tmp_path / "a.ipynb").mkdir()
    path = str(tmp_path / "a.ipynb")
    assert not grading._is_at_work(path, toy(public_only=True), options())


def test_the_exercises_of_notebooks_that_are_not_there_are_left_out_and_named():
    before = work(gap("double"), notes=(Note("x", "first"),))
    left = grading._without_others(before, toy())
    assert left.only == {"a", "b"}
    assert left.notes == (
        Note("x", "first"),
        Note("other_notebooks", "not graded now: more.ipynb; give `grade` their folder for all"),
    )
    both = replace(before, notebooks={"toy.ipynb": STUB, "more.ipynb": STUB})
    assert grading._without_others(both, toy()) == both
    three = toy(notebook_names=("toy.ipynb", "more.ipynb", "last.ipynb"))
    assert (
        "now: more.ipynb, last.ipynb;" in grading._without_others(before, three).notes[-1].message
    )


@pytest.mark.parametrize(
    ("sources", "reasons"),
    [
        ([gap("double"), gap("half"), gap("plot")], {}),
        ([gap("double", "pass"), gap("half"), gap("plot")], {"a": "not filled in yet: `double`"}),
        ([gap("half"), gap("plot")], {}),  # the check itself says that it is not there
        # What an exercise needs counts beside its own functions, not for them.
        ([gap("double"), gap("half", "pass"), gap("plot")], {"b": "not filled in yet: `half`"}),
        ([gap("double"), gap("half"), gap("plot", "pass")], {}),
        (
            [gap("double"), gap("plot", "pass")],
            {"b": "not filled in yet: `plot`; not defined: `half`"},
        ),
    ],
)
def test_an_exercise_of_which_nothing_was_filled_in_is_not_checked(sources, reasons):
    reasons = reasons | {"c": "more.ipynb was not handed in"}
    assert not_filled_in.nothing_to_check(toy(), work(*sources).notebooks) == reasons


CELL_GAP = "### START YOUR CODE ###\n{body}\n### END YOUR CODE ###\nnet = width + 1\n"


def with_a_cell_gap(body, *, functions=(), message=""):
    """The exercise of a gap that stands in no function: what is skipped, and what a check says."""
    stub = read("import numpy", CELL_GAP.format(body="width = 0"), gap("double", "pass"))
    exercise = Exercise("v", "V", 1.0, notebook="toy.ipynb", functions=functions, values=("net",))
    assignment = toy(exercises=(exercise,), stubs={"toy.ipynb": stub})
    handed_in = read("import numpy", CELL_GAP.format(body=body), gap("double"))
    notebooks = {"toy.ipynb": compare_with_stub(handed_in, stub, functions=functions)}
    outcome = Outcome("v", "net", "failed", 0.0, 1.0, message=message)
    judged = not_filled_in.with_template_hint(outcome, assignment, notebooks)
    return not_filled_in.nothing_to_check(assignment, notebooks), judged


def test_a_gap_outside_any_function_is_not_filled_in_yet():
    assert with_a_cell_gap("width = 0")[0] == {"v": "not filled in yet: `net`"}
    assert with_a_cell_gap("width = 3")[0] == {}


def test_beside_functions_that_are_filled_in_the_check_of_the_value_says_so():
    left, judged = with_a_cell_gap("width = 0", functions=("double",), message="net: got 1")
    assert (left, judged.message, judged.missing) == ({}, "not filled in yet: `net`", True)
    for body, message in (("width = 3", "net: got 4"), ("width = 0", "netto: got 1")):
        _, judged = with_a_cell_gap(body, functions=("double",), message=message)
        assert (judged.message, judged.missing) == (message, False)


@pytest.mark.parametrize(
    "changes",
    [{"outcome": "skipped"}, {"outcome": "timeout"}, {"credit": 0.5}, {"missing": True}],
)
def test_only_a_check_that_failed_without_a_point_says_that_something_is_not_filled_in(changes):
    failed = Outcome("a", "double", "failed", 0.0, 2.0, message="double(3): got None")
    notebooks = work(gap("double", "pass"), gap("half")).notebooks
    hint = not_filled_in.with_template_hint(failed, toy(), notebooks)
    assert (hint.message, hint.missing) == ("not filled in yet: `double`", True)
    other = replace(failed, **changes)
    assert not_filled_in.with_template_hint(other, toy(), notebooks) == other


def test_a_method_that_was_called_is_found_by_its_own_name():
    stub = read("class Net:\n" + textwrap.indent(gap("fit", "pass"), "    "))
    exercise = Exercise("n", "Net", 1.0, notebook="toy.ipynb", functions=("Net.fit",))
    notebooks = {"toy.ipynb": compare_with_stub(stub, stub, functions=("Net.fit",))}
    outcome = Outcome("n", "fit", "failed", 0.0, 1.0, message="net.fit(3): got None")
    hint = not_filled_in.with_template_hint(outcome, toy(exercises=(exercise,)), notebooks)
    assert hint.message == "not filled in yet: `Net.fit`"


def test_an_exercise_that_a_person_marks_is_never_told_as_not_filled_in():
    manual = Exercise("m", "Words", 1.0, notebook="gone.ipynb", manual=True)
    assert not_filled_in.nothing_to_check(toy(exercises=(manual,)), {}) == {}


def test_all_names_of_an_exercise_are_listed():
    states = {"f": "untouched", "g": "missing", "h": "untouched", "k": "missing"}
    assert not_filled_in._still_the_template(states) == (
        "not filled in yet: `f`, `h`; not defined: `g`, `k`"
    )


# --- outcomes and notes -----------------------------------------------------------------------

OUTCOME = Outcome("a", "double", "failed", 0.0, 2.0, message="said", for_students="told")


def test_a_missing_name_is_told_with_the_students_own_name_for_it():
    handed_in = work("def my_double(x):\n    return 2 * x\n", gap("half"))
    missing = replace(OUTCOME, not_defined="double")
    named = grading._with_own_name(missing, toy(), handed_in)
    hint = "\nIs it `my_double`? The checks call it by the template's name."
    assert (named.message, named.for_students) == (f"said{hint}", f"told{hint}")
    # Nothing is told to students where nothing was.
    hidden = replace(missing, for_students="")
    assert grading._with_own_name(hidden, toy(), handed_in).for_students == ""
    assert grading._with_own_name(OUTCOME, toy(), handed_in) == OUTCOME


def test_a_missing_name_of_a_cell_that_does_not_compile_is_told_with_why():
    handed_in = work("def double(x):\n    return 2 * (x\n", gap("half"))
    named = grading._with_own_name(replace(OUTCOME, not_defined="double"), toy(), handed_in)
    assert named.message.startswith("said: ")
    assert named.for_students.startswith("told: ")
    assert "cell 0" in named.message or "does not compile" in named.message


def test_a_missing_name_of_a_notebook_that_was_not_handed_in_has_no_hint():
    missing = replace(OUTCOME, exercise="c", not_defined="more")
    elsewhere = work(gap("double"), "def my_more(x):\n    return x\n")
    assert grading._with_own_name(missing, toy(), elsewhere) == missing


@pytest.mark.parametrize("suspect", [True, False])
def test_only_a_suspect_outcome_is_cleared(suspect):
    outcome = replace(OUTCOME, outcome="error", suspect=suspect)
    words = "the check could not use the returned value"
    cleared = grading._cleared(outcome, broken=False)
    if suspect:
        assert (cleared.outcome, cleared.message, cleared.for_students) == (
            "failed",
            f"{words}\nsaid",
            words,
        )
        hidden = grading._cleared(replace(outcome, hidden=True), broken=False)
        assert (hidden.message, hidden.for_students) == (words, words)
        missing = grading._cleared(replace(outcome, missing=True), broken=False)
        assert missing == replace(outcome, missing=True, suspect=False)
    else:
        assert cleared == outcome


def test_a_suspect_that_is_broken_is_a_fault_of_the_checks():
    suspect = replace(OUTCOME, suspect=True)
    broken = grading._cleared(suspect, broken=True)
    assert (broken.fault, broken.message) == (True, "said")
    lacking = grading._cleared(replace(suspect, missing=True), broken=True)
    assert lacking.message == "said, in the solved notebook neither"


def score(id, max_points, **changes):
    made = ExerciseScore(id, id, "passed", max_points, max_points, (), ())
    return replace(made, **changes)


@pytest.mark.parametrize(
    ("points", "note"),
    [
        ({"a": 2.0, "b": 3.0, "c": 1.0}, None),
        ({"a": 1.0, "b": 3.0, "c": 1.0}, "hidden checks give 1 more point: "),
        ({"a": 0.0, "b": 3.0, "c": 1.0}, "hidden checks give 2 more points: "),
        ({"a": 1.5, "b": 3.0, "c": 1.0}, "hidden checks give 0.5 more points: "),
        ({"a": 2.0, "b": 3.0, "c": 1.0 - 1e-6}, "hidden checks give 1e-06 more points: "),
    ],
)
def test_a_run_without_hidden_checks_says_how_many_points_they_give(points, note):
    scores = [score(id, most) for id, most in points.items()]
    wanted = [] if note is None else [Note("public", f"{note}your instructor runs them")]
    assert grading._hidden_note(toy(), options(public=True), scores) == wanted
    assert grading._hidden_note(toy(public_only=True), options(), scores) == wanted
    assert grading._hidden_note(toy(), options(), scores) == []


def test_what_a_person_marks_and_what_is_extra_is_not_counted_as_hidden():
    scores = [score("a", 0.0, status="manual"), score("b", 0.0, bonus=True), score("c", 1.0)]
    assert grading._hidden_note(toy(), options(public=True), scores) == []
