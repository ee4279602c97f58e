"""Recognition: which assignment was answered, which file plays which notebook."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from grader.authoring.stubs import stub_notebook
from grader.errors import SubmissionError
from grader.notebook import parse_notebook
from grader.records import Assignment, Exercise
from grader.submission.matching import match_notebooks, name_instead, recognise_assignment

GAP = "    ### START YOUR CODE ###\n    {}\n    ### END YOUR CODE ###\n"


def read(*sources, name, metadata=None):
    cells = [{"cell_type": "code", "source": s, "metadata": {}, "outputs": []} for s in sources]
    document = {"cells": cells, "metadata": metadata or {}}
    return parse_notebook(json.dumps(document).encode(), name=name)


def solved(functions, *, name, body="return 1", **more):
    return read(*(f"def {f}(x):\n" + GAP.format(body) for f in functions), name=name, **more)


SIGMOID = ("sigmoid", "sigmoid_prime", "softplus", "c1")
MNIST = ("normalise", "cost", "grad", "predict", "sigmoid")


def make_assignment(id, **notebooks):
    references = {
        f"{name}.ipynb": solved(functions, name=f"{name}.ipynb")
        for name, functions in notebooks.items()
    }
    exercises = tuple(
        Exercise(f"{name}-{f}", f, 1.0, notebook=f"{name}.ipynb", functions=(f,))
        for name, functions in notebooks.items()
        for f in functions
    )
    return Assignment(
        id=id,
        title=id,
        folder=Path(),
        exercises=exercises,
        notebook_names=tuple(references),
        check_files=(),
        notebooks=references,
        stubs={n: stub_notebook(r, assignment=id, file=n) for n, r in references.items()},
    )


@pytest.fixture
def pw02():
    return make_assignment("pw02", sigmoid=SIGMOID, MNIST_classifier_stud=MNIST)


@pytest.fixture
def hw1():
    return make_assignment("hw1", **{"hw1-q2": ("squared_loss", "Regression")})


def claim(assignment, notebook):
    return {"grade": {"assignment": assignment, "notebook": notebook}}


def without_markers(notebook, **changes):
    sources = [
        "\n".join(line for line in cell.source.split("\n") if "YOUR CODE" not in line)
        for cell in notebook.cells
    ]
    return read(*sources, **changes)


def parts(matched):
    return {name: notebook.name for name, notebook in matched.items()}


# --- the assignment -------------------------------------------------------------------------------


def test_the_assignment_is_told_by_names(pw02, hw1):
    known = {"pw02": pw02, "hw1": hw1}
    assert recognise_assignment([read("x = 1", name="hw1-q2.py")], known) == "hw1"
    assert recognise_assignment([read("x = 1", name="sigmoid.ipynb")], known) == "pw02"


def test_the_assignment_is_told_by_definitions_alone(pw02, hw1):
    found = without_markers(solved(SIGMOID, name="x"), name="Untitled7.ipynb")
    assert recognise_assignment([found], {"hw1": hw1, "pw02": pw02}) == "pw02"


def test_the_assignment_is_told_by_metadata(pw02, hw1):
    found = read("x = 1", name="Untitled.ipynb", metadata=claim("hw1", "hw1-q2.ipynb"))
    assert recognise_assignment([found], {"pw02": pw02, "hw1": hw1}) == "hw1"


def test_metadata_do_not_turn_one_assignment_into_another(pw02, hw1):
    found = solved(MNIST, name="a.ipynb", metadata=claim("hw1", "hw1-q2.ipynb"))
    assert recognise_assignment([found], {"hw1": hw1, "pw02": pw02}) == "pw02"


def test_what_answers_nothing_is_refused(pw02):
    with pytest.raises(SubmissionError, match="name it with --assignment"):
        recognise_assignment([read("x = 1", name="holiday.ipynb")], {"pw02": pw02})
    with pytest.raises(SubmissionError):
        recognise_assignment([], {"pw02": pw02})


OTHER_EDITION = (
    "def load_pictures(path):\n    return path\n\n"
    "class Network:\n    def learn(self, x):\n        return x\n"
)


def test_another_editions_work_under_a_known_name_is_refused_and_says_why(pw02):
    found = read(OTHER_EDITION, name="MNIST_classifier_stud.ipynb")
    assert match_notebooks(pw02, [found]) == {}
    with pytest.raises(SubmissionError, match="defines none of what the sheet asks for"):
        recognise_assignment([found], {"pw02": pw02})


@pytest.mark.parametrize(
    "cell",
    [
        "print(3)\nx = 1",  # bare cells
        OTHER_EDITION + f"\ndef my_{MNIST[0].partition('.')[0]}(x):\n    return x\n",  # renamed
        OTHER_EDITION + f"\nclass {MNIST[0].partition('.')[0]}:\n    x = (\n",  # doesn't compile
    ],
)
def test_what_may_be_an_attempt_at_the_sheet_is_graded(pw02, cell):
    found = read(cell, name="MNIST_classifier_stud.ipynb")
    assert list(match_notebooks(pw02, [found])) == ["MNIST_classifier_stud.ipynb"]


# --- the notebooks --------------------------------------------------------------------------------


def test_notebooks_of_the_right_names_play_their_parts(pw02):
    handed_in = [
        solved(MNIST, name="pw/MNIST_classifier_stud.ipynb"),
        solved(SIGMOID, name="pw/sigmoid.ipynb"),
    ]
    matched = match_notebooks(pw02, handed_in)
    assert parts(matched) == {
        "sigmoid.ipynb": "pw/sigmoid.ipynb",
        "MNIST_classifier_stud.ipynb": "pw/MNIST_classifier_stud.ipynb",
    }
    assert [notebook.notes for notebook in matched.values()] == [(), ()]
    assert {r.status for r in matched["sigmoid.ipynb"].regions.values()} == {"filled"}


@pytest.mark.parametrize(
    "name",
    [
        "MNIST_classifier.ipynb",
        "mnist classifier (1).ipynb",
        "MNIST_classifier_stud-Copy1.ipynb",
        "MNIST_classifier_stud_solution_v2.ipynb",
        "MNIST_classifier_stud_Müller.ipynb",
        "Kopie von MNIST_classifier_stud.ipynb",
        "MNIST_classifier_stud.py",
    ],
)
def test_decorated_names_are_recognised_even_when_nothing_is_defined(pw02, name):
    matched = match_notebooks(pw02, [read("x = 1", name=name)])
    assert list(matched) == ["MNIST_classifier_stud.ipynb"]
    assert [note.kind for note in matched["MNIST_classifier_stud.ipynb"].notes][-1] == "wrong_name"


@pytest.mark.parametrize("name", ["classifier.ipynb", "notes.ipynb", "stud.ipynb", "MNIST.ipynb"])
def test_other_names_are_not(pw02, name):
    assert match_notebooks(pw02, [read("x = 1", name=name)]) == {}


def test_a_renamed_notebook_without_markers_and_metadata_is_told_by_its_definitions(pw02):
    found = without_markers(solved(MNIST, name="x"), name="Untitled.ipynb")
    matched = match_notebooks(pw02, [found])
    assert parts(matched) == {"MNIST_classifier_stud.ipynb": "Untitled.ipynb"}
    assert {r.status for r in matched["MNIST_classifier_stud.ipynb"].regions.values()} == {"filled"}


def test_a_false_claim_does_not_outweigh_the_definitions(pw02):
    lie = solved(SIGMOID, name="x.ipynb", metadata=claim("pw02", "MNIST_classifier_stud.ipynb"))
    assert parts(match_notebooks(pw02, [lie])) == {"sigmoid.ipynb": "x.ipynb"}


def test_names_that_were_swapped_are_set_right_by_the_definitions(pw02):
    handed_in = [
        solved(SIGMOID, name="MNIST_classifier_stud.ipynb"),
        solved(MNIST, name="sigmoid.ipynb"),
    ]
    assert parts(match_notebooks(pw02, handed_in)) == {
        "sigmoid.ipynb": "MNIST_classifier_stud.ipynb",
        "MNIST_classifier_stud.ipynb": "sigmoid.ipynb",
    }


def test_one_notebook_with_everything_plays_every_part(pw02):
    everything = solved((*SIGMOID, *MNIST[:-1]), name="pw02.ipynb")
    assert parts(match_notebooks(pw02, [everything])) == {
        "sigmoid.ipynb": "pw02.ipynb",
        "MNIST_classifier_stud.ipynb": "pw02.ipynb",
    }


def test_a_shared_helper_does_not_make_a_notebook_another(pw02):
    matched = match_notebooks(pw02, [solved(MNIST, name="MNIST_classifier_stud.ipynb")])
    assert list(matched) == ["MNIST_classifier_stud.ipynb"]


def test_a_script_plays_the_notebook_of_its_name(hw1):
    assert parts(match_notebooks(hw1, [read("x = 1", name="hw1-q2.py")])) == {
        "hw1-q2.ipynb": "hw1-q2.py"
    }


def test_of_two_candidates_the_one_with_more_filled_regions_is_graded(pw02):
    stub = replace(pw02.stubs["sigmoid.ipynb"], name="sigmoid.ipynb")
    filled = solved(SIGMOID, name="sigmoid-Copy1.ipynb")
    matched = match_notebooks(pw02, [stub, filled])["sigmoid.ipynb"]
    assert matched.name == "sigmoid-Copy1.ipynb"
    assert [note.kind for note in matched.notes] == ["wrong_name", "several_candidates"]
    assert "sigmoid.ipynb could be it too" in matched.notes[-1].message


def test_of_two_equal_candidates_the_right_name_is_graded(pw02):
    handed_in = [solved(SIGMOID, name="sigmoid (1).ipynb"), solved(SIGMOID, name="sigmoid.ipynb")]
    assert match_notebooks(pw02, handed_in)["sigmoid.ipynb"].name == "sigmoid.ipynb"


def test_what_was_not_handed_in_is_absent(pw02):
    assert match_notebooks(pw02, []) == {}


@pytest.mark.parametrize(
    ("missing", "instead"),
    [
        ("cost_funct", "cost_function"),
        ("Model.predict", "Model.predicts"),
        ("sigmoid", "my_sigmoid"),
        ("softplus_prime", ""),  # softplus_second is the template's own
        ("Model.fit", ""),  # cost_function is no method
        ("plot", ""),
        ("grad", "gradient"),
        ("line", ""),  # one name alone says nothing
        ("update", "one_step"),  # the only one that takes w, alpha and grad
    ],
)
def test_a_missing_name_may_stand_there_as_one_of_the_students_own(missing, instead):
    functions = ("cost_funct", "sigmoid", "softplus_prime", "softplus_second")
    stub = solved(functions, name="a.ipynb")
    stub = read(
        *(cell.source for cell in stub.cells),
        "def update(w, alpha, grad): pass\ndef line(x): pass",
        name="a.ipynb",
    )
    own = "def gradient(y): pass\ndef one_step(w, alpha: float, grad=0): pass\ndef other(x): pass"
    methods = "class Model:\n    def predicts(self): pass\n    def fits_all_of_it(self): pass"
    mine = solved(("cost_function", "my_sigmoid", "softplus_second"), name="a.ipynb")
    mine = read(*(cell.source for cell in mine.cells), methods, own, name="a.ipynb")
    assert name_instead(missing, mine, stub) == instead
