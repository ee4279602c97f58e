"""Recognition: which assignment was answered, which file plays which notebook."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from grader.authoring.stubs import stub_notebook
from grader.errors import SubmissionError
from grader.notebook import parse_notebook
from grader.records import Assignment, Exercise, Note
from grader.submission.matching import (
    match_notebooks,
    name_instead,
    other_work,
    recognise_assignment,
)

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


def test_of_several_assignments_the_one_that_fits_best_is_told(pw02, hw1):
    found = solved(("squared_loss", "Regression", "sigmoid", "softplus"), name="a.ipynb")
    assert recognise_assignment([found], {"hw1": hw1, "pw02": pw02}) == "hw1"
    assert recognise_assignment([solved(SIGMOID, name="a.ipynb")], {"a": pw02, "z": hw1}) == "a"


def test_without_a_stub_a_notebook_is_told_by_its_name(pw02):
    bare = replace(pw02, exercises=(), stubs={})
    with pytest.raises(SubmissionError):
        recognise_assignment([read("x = 1", name="holiday.ipynb")], {"pw02": bare})
    assert recognise_assignment([read("x = 1", name="sigmoid.ipynb")], {"pw02": bare}) == "pw02"


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


def refusal(notebooks, assignments, **more):
    with pytest.raises(SubmissionError) as refused:
        recognise_assignment(notebooks, assignments, **more)
    return str(refused.value)


def test_the_refusal_names_what_came_what_is_known_and_what_to_do(pw02, hw1):
    handed_in = [read("x = 1", name=f"in/holiday{n}.ipynb") for n in range(1, 7)]
    assert refusal(handed_in, {"pw02": pw02, "hw1": hw1}) == (
        "nothing here (holiday1.ipynb, holiday2.ipynb, holiday3.ipynb, holiday4.ipynb, "
        "holiday5.ipynb) answers a known assignment (pw02, hw1): name it with --assignment"
    )
    assert refusal([], {}, advice="ask") == (
        "nothing here (no notebook) answers a known assignment (none): ask"
    )


def test_the_refusal_says_of_three_notebooks_why_they_are_other_work(pw02):
    other = read(OTHER_EDITION, name="sigmoid.ipynb")
    line = (
        "sigmoid.ipynb has a name of the sheet's, and defines none of what the sheet asks for "
        "(sigmoid, sigmoid_prime, softplus, ...): is it of another year, or of another sheet?"
    )
    assert other_work(pw02, [other]) == [line]
    assert refusal([other] * 4, {"pw02": pw02}) == (
        "nothing here (sigmoid.ipynb, sigmoid.ipynb, sigmoid.ipynb, sigmoid.ipynb) answers a known "
        f"assignment (pw02) ({line}; {line}; {line}): name it with --assignment"
    )


def is_graded(assignment, *sources, **more):
    found = read(*sources, name="sigmoid.ipynb", **more)
    return "sigmoid.ipynb" in match_notebooks(assignment, [found])


def test_other_work_is_what_has_two_functions_of_its_own_and_no_sign_of_the_sheet(pw02):
    assert not is_graded(pw02, OTHER_EDITION)
    # The methods of one class are one thing of its own.
    assert is_graded(
        pw02, "class Network:\n    def a(self):\n        1\n    def b(self):\n        1"
    )
    assert is_graded(pw02, OTHER_EDITION, metadata=claim("pw02", "sigmoid.ipynb"))
    assert not is_graded(pw02, OTHER_EDITION, "# def softplus(x):")
    for head in ("def softplus", "async def softplus", "class  softplus", "x = 1\n  def c1"):
        assert is_graded(pw02, OTHER_EDITION, head + "(x):\n    return (")
    assert not is_graded(pw02, OTHER_EDITION, "def softplus2(x):\n    return (")


def test_what_other_work_only_writes_about_is_no_attempt(pw02):
    cells = [
        {"cell_type": "markdown", "source": "def softplus(x): see above", "metadata": {}},
        {"cell_type": "code", "source": OTHER_EDITION, "metadata": {}, "outputs": []},
    ]
    document = json.dumps({"cells": cells, "metadata": {}})
    assert match_notebooks(pw02, [parse_notebook(document.encode(), name="sigmoid.ipynb")]) == {}


def test_a_broken_cell_with_the_class_of_a_method_that_is_asked_for_is_an_attempt():
    assignment = make_assignment("toy", toy=("helper",))
    exercise = replace(assignment.exercises[0], functions=("Model.fit", "Model.score"))
    assignment = replace(assignment, exercises=(exercise,))
    attempt = read(OTHER_EDITION, "class Model:\n    x = (", name="toy.ipynb")
    assert list(match_notebooks(assignment, [attempt])) == ["toy.ipynb"]
    assert match_notebooks(assignment, [read(OTHER_EDITION, name="toy.ipynb")]) == {}


# --- which notebook may play which part -----------------------------------------------------------

A, B = ([f"{letter}_function_{n}" for n in "0123456789"] for letter in ("alpha", "beta"))


@pytest.fixture
def ten():
    """Two notebooks of ten functions each."""
    return make_assignment("ten", alpha=A, beta=B)


def played(assignment, functions, *, name="Untitled.ipynb", **more):
    return [
        part.removesuffix(".ipynb")
        for part in match_notebooks(assignment, [solved(functions, name=name, **more)])
    ]


def test_three_of_ten_functions_make_a_candidate_and_two_do_not(ten):
    assert played(ten, A[:3]) == ["alpha"]
    assert played(ten, A[:2]) == []


def test_the_name_counts_beside_another_parts_functions_only_with_one_of_its_own(ten):
    claimed = {"metadata": claim("ten", "alpha.ipynb")}
    assert played(ten, [*B, A[0]], name="alpha.ipynb") == ["alpha", "beta"]
    assert played(ten, [*B, A[0]], name="alpha_Mueller.ipynb") == ["beta"]
    assert played(ten, B, name="alpha.ipynb", **claimed) == ["beta"]
    assert played(ten, B[:3], name="alpha.ipynb", **claimed) == ["beta"]


def test_a_claim_holds_beside_a_function_or_two_of_another_part(ten):
    assert played(ten, B[:1], metadata=claim("ten", "alpha.ipynb")) == ["alpha"]


def test_a_notebook_without_exercises_is_told_by_all_that_its_stub_defines(ten):
    ten = replace(ten, exercises=[e for e in ten.exercises if e.notebook == "beta.ipynb"])
    assert played(ten, A[:3]) == ["alpha"]
    assert played(ten, A[:2]) == []


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("numerics-tutorial.ipynb", ["numerics-tutorial-images"]),  # more than half of its words
        ("tutorial-images.PY", ["numerics-tutorial-images"]),
        ("numerics (12) tutorial images.Ipynb", ["numerics-tutorial-images"]),
        ("numerics (123) tutorial images.ipynb", ["numerics-tutorial-images"]),
        ("numerics-v2-tutorial-copy3-images.ipynb", ["numerics-tutorial-images"]),
        (r"C:\work\numerics-tutorial-images.json", ["numerics-tutorial-images"]),
        ("images-tutorial.ipynb", []),
        ("numerics.ipynb", []),
        ("___.ipynb", []),
    ],
)
def test_a_name_is_compared_by_its_own_words(name, parts):
    assignment = make_assignment("toy", **{"numerics-tutorial-images": ("f",)})
    assert [
        n.removesuffix(".ipynb") for n in match_notebooks(assignment, [read("x = 1", name=name)])
    ] == parts


def test_a_name_of_nothing_but_decoration_is_still_a_name():
    assignment = make_assignment("toy", final=("f",))
    assert list(match_notebooks(assignment, [read("x = 1", name="final.py")])) == ["final.ipynb"]
    assert match_notebooks(assignment, [read("x = 1", name="copy.py")]) == {}


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


def test_the_notes_say_which_notebook_is_read_as_which_and_what_could_be_it_too(pw02):
    names = [f"sigmoid_{n}.ipynb" for n in "abcde"]
    matched = match_notebooks(pw02, [solved(SIGMOID, name=name) for name in names])
    assert matched["sigmoid.ipynb"].notes == (
        Note("wrong_name", "sigmoid_a.ipynb is read as sigmoid.ipynb", notebook="sigmoid_a.ipynb"),
        Note(
            "several_candidates",
            "sigmoid_a.ipynb is graded as sigmoid.ipynb; sigmoid_b.ipynb, sigmoid_c.ipynb, "
            "sigmoid_d.ipynb could be it too",
            notebook="sigmoid_a.ipynb",
        ),
    )


def test_six_notebooks_for_one_part_are_a_class_and_five_are_old_copies(pw02):
    handed_in = [solved(SIGMOID, name=f"sigmoid_{n}.ipynb") for n in "abcdef"]
    assert len(match_notebooks(pw02, handed_in[:5])) == 1
    with pytest.raises(SubmissionError) as refused:
        match_notebooks(pw02, handed_in)
    assert str(refused.value) == (
        "6 notebooks could each be sigmoid.ipynb, as those of a whole class: put each student's "
        "work into a folder or a zip of its own, or grade with --split"
    )


@pytest.mark.parametrize(("count", "rivals"), [(2, 0), (3, 1)])
def test_a_rival_without_the_name_defines_more_than_half(pw02, count, rivals):
    mine = solved(SIGMOID, name="sigmoid.ipynb")
    other = solved(SIGMOID[:count], name="Untitled.ipynb")
    assert len(match_notebooks(pw02, [mine, other])["sigmoid.ipynb"].notes) == rivals


def test_two_notebooks_that_define_the_only_function_are_rivals():
    assignment = make_assignment("toy", toy=("only",))
    handed_in = [solved(["only"], name=name) for name in ("x.ipynb", "y.ipynb")]
    assert [n.kind for n in match_notebooks(assignment, handed_in)["toy.ipynb"].notes] == [
        "wrong_name",
        "several_candidates",
    ]


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


def own_name(missing, template, *own):
    stub, mine = read(template, name="a.ipynb"), read(*own, name="a.ipynb")
    return name_instead(missing, mine, stub)


@pytest.mark.parametrize(
    ("own", "instead"),
    [
        ("def step(w, rate): pass", "step"),
        ("def step(w, rate=1): pass\ndef go(w, rate): pass", ""),  # two could be it
        ("def step(w): pass", ""),
        ("def my_update(x): pass\ndef update_all(x): pass", "my_update"),  # the nearest name
        ("def update_everything(): pass\ndef do_the_update_now(): pass", ""),
        ("def updates_everything(): pass", "updates_everything"),
        ("def upgrade(): pass", ""),  # another word
        ("def up(): pass", ""),
    ],
)
def test_a_name_or_parameters_tell_only_where_one_alone_has_them(own, instead):
    assert own_name("update", "def update(w, rate): pass", own) == instead


def test_a_method_is_compared_by_its_own_name():
    template, own = (f"class Model:\n    def {n}(self): pass" for n in ("predict", "predcit"))
    assert own_name("Model.predict", template, own) == "Model.predcit"


def test_a_function_that_is_graded_without_a_gap_has_a_region(pw02):
    stub = read("def softplus(x):\n    pass", name="sigmoid.ipynb")
    pw02 = replace(pw02, stubs={**pw02.stubs, "sigmoid.ipynb": stub})
    own = read("def softplus(x):\n    return abs(x)", name="sigmoid.ipynb")
    matched = match_notebooks(pw02, [own])["sigmoid.ipynb"]
    assert matched.regions["softplus"].status == "filled"


def test_self_is_not_a_parameter_that_tells():
    template = "class M:\n    def fit(self, x): pass"
    assert own_name("M.fit", template, "class M:\n    def go(self, x): pass") == ""
    template = "class M:\n    def fit(self, x, y): pass"
    assert own_name("M.fit", template, "class M:\n    def go(self, x, y): pass") == "M.go"
    # What a student forgets most.
    assert own_name("M.fit", template, "class M:\n    def go(x, y): pass") == "M.go"
