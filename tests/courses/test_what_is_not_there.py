"""What a student hasn't written, wrote under another name, or broke: the report says which."""

import json

import pytest

from grader import pipeline
from grader.request import Request

TOML = """\
id = "toy"
title = "Toy"
[[notebooks]]
file = "toy.ipynb"
[[exercises]]
id = "cost"
title = "Cost"
points = 2
notebook = "toy.ipynb"
functions = ["cost"]
[[exercises]]
id = "gradient"
title = "Gradient"
points = 2
notebook = "toy.ipynb"
functions = ["gradient"]
needs = ["cost"]
"""
CHECKS = """\
import pytest
from grader.checks import assert_close


@pytest.mark.exercise("cost", points=2)
def test_cost(student):
    value = student.cost(student["np.asarray"]([1.0, 3.0]))
    assert_close(value, 5.0, called="cost(x)")


@pytest.mark.exercise("gradient", points=2)
def test_gradient(student):
    assert_close(student.gradient(2.0, 3.0), 6.0, called="gradient(x, y)")
"""
CELLS = [
    "import numpy as np",
    """\
def cost(x):
    ### START YOUR CODE ###
    # STUB: return 0.0
    return np.mean(x**2)
    ### END YOUR CODE ###


def given(x):
    return x""",
    """\
def gradient(x, y):
    ### START YOUR CODE ###
    # STUB: raise NotImplementedError
    return x * y
    ### END YOUR CODE ###""",
]
SOLVED = "return x * y"
EDITS = {
    "solved": {},
    "still_raises": {SOLVED: "raise NotImplementedError"},
    "passes": {SOLVED: "pass"},
    "renamed": {"def gradient": "def grad"},
    "broken": {SOLVED: "y = (x\n    return x * y"},
    "plain_numpy": {"import numpy as np": "import numpy", "np.mean": "numpy.mean"},
    "np_is_a_number": {"import numpy as np": "import numpy\nfor np in range(3): pass",
                       "np.mean": "numpy.mean"},
}  # fmt: skip


def notebook(edits):
    cells = []
    for source in CELLS:
        for old, new in edits.items():
            source = source.replace(old, new)
        cells.append({"cell_type": "code", "metadata": {}, "outputs": [], "source": source})
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4})


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    root = tmp_path_factory.mktemp("course")
    toy = root / "reference" / "toy"
    toy.mkdir(parents=True)
    (toy / "assignment.toml").write_text(TOML)
    (toy / "test_toy.py").write_text(CHECKS)
    (toy / "toy.ipynb").write_text(notebook({}))
    paths = []
    for name, edits in EDITS.items():
        path = root / name / "toy.ipynb"
        path.parent.mkdir()
        path.write_text(notebook(edits))
        paths.append(path.parent)
    report = pipeline.grade(paths, Request(assignments=root / "reference", assignment="toy"))
    return dict(zip(EDITS, report.results, strict=True))


def points(result):
    return {exercise.id: (exercise.points, exercise.status) for exercise in result.exercises}


def message(result, exercise):
    (found,) = [e for e in result.exercises if e.id == exercise]
    return "\n".join(check.message for check in found.checks)


BOTH = {"cost": (2.0, "passed"), "gradient": (2.0, "passed")}
COST_ALONE = BOTH | {"gradient": (0.0, "missing")}


@pytest.mark.parametrize("name", ["solved", "plain_numpy", "np_is_a_number"])
def test_what_is_right_is_right_whatever_numpy_is_called(results, name):
    assert points(results[name]) == BOTH


@pytest.mark.parametrize("name", ["still_raises", "passes"])
def test_an_exercise_of_which_nothing_is_written_is_missing_though_it_needs_a_written_one(
    results, name
):
    assert points(results[name]) == COST_ALONE
    assert message(results[name], "gradient") == "not filled in yet: `gradient`"


def test_a_renamed_function_is_found(results):
    assert points(results["renamed"]) == COST_ALONE
    said = message(results["renamed"], "gradient")
    assert said.startswith("`gradient` is not defined\nIs it `grad`?")


def test_a_cell_that_does_not_compile_is_named_at_the_exercise_and_nothing_else_is_claimed(results):
    assert points(results["broken"]) == COST_ALONE
    why = "cell 2 doesn't compile: '(' was never closed, line 4"
    assert message(results["broken"], "gradient") == f"`gradient` is not defined: {why}"
    notes = results["broken"].notes
    assert [n.message for n in notes if n.kind == "changed_outside_region"] == []
    assert why in [n.message for n in notes]
