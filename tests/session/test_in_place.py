"""Test cells that call a student's function for what it changes in its arguments."""

import numpy as np
import pytest

from grader.checks import run_cell
from grader.errors import CheckFailed, StudentError
from grader.session.student import requests_of

CODE = """
import numpy as np
rate = 0.5

def step(theta, g, lr=1.0):
    theta -= lr * g

def sort(numbers, seen=None):
    numbers.sort()
    if seen is not None:
        seen.add(len(numbers))

def update(parameters, by):
    for name in parameters:
        parameters[name] += by
    parameters["count"] = 1

def cheat(x):
    x[:] = 0
    return 0.0

def late(x):
    x[0] = 7
    raise ValueError("after the change")

def apply(function, x):
    return function.__name__

def same(data, count):
    count[:] = data[0]

class Descent:
    def step(self, theta):
        theta *= rate
"""


@pytest.fixture
def student(student_of):
    return student_of(CODE)


@pytest.mark.parametrize(
    "cell",
    [
        "theta = np.ones(3)\nstep(theta, np.arange(3.0))\nassert theta.tolist() == [1, 0, -1]",
        "theta = np.ones((2, 2))\nstep(theta[0], 1.0)\nassert theta.tolist() == [[0, 0], [1, 1]]",
        "a = [3, 1, 2]\nb = a\nsort(a)\nassert b == [1, 2, 3]",
        "a, seen = [3], set()\nsort(a, seen)\nassert seen == {1}",
        "theta = np.ones(1, dtype='float32')\nDescent().step(theta)\nassert theta == 0.5",
        "w = np.zeros(2)\np = {'w': w}\nupdate(p, 2)\nassert w.sum() == 4 and p['count'] == 1",
        "def check(n):\n    x = np.ones(n)\n    step(x, x)\n    assert not x.any()\ncheck(4)",
        "class Test:\n    def run(self):\n        x = [2, 1]\n        sort(x)\n"
        "        assert x[0] == 1\nTest().run()",
    ],
)
def test_a_call_alone_changes_its_arguments(student, cell):
    run_cell(student, cell)


def test_a_missing_change_fails_the_test(student):
    with pytest.raises(CheckFailed) as caught:
        run_cell(student, "theta = np.ones(3)\nstep(theta, 0.0)\nassert theta.sum() == 0")
    assert caught.value.called == "`assert theta.sum() == 0`"


@pytest.mark.parametrize("body", ["theta = theta - g", "theta - g"])
def test_an_argument_that_was_left_as_it_was_is_named(student_of, body):
    student = student_of(f"def step(theta, g):\n    {body}\n")
    with pytest.raises(CheckFailed) as caught:
        run_cell(student, "t = np.ones(3)\nstep(t, 1.0)\nassert np.allclose(t, [0.0, 0.0, 0.0])")
    assert "left this argument as it was" in caught.value.hint


def test_a_call_whose_result_is_used_changes_nothing_that_it_is_compared_with(student):
    with pytest.raises(CheckFailed):
        run_cell(student, "x = np.ones(3)\nr = cheat(x)\nassert r == x.sum()")


def test_an_error_of_such_a_call_is_the_students(student):
    with pytest.raises(StudentError, match="after the change"):
        run_cell(student, "x = [1]\nlate(x)")
    run_cell(
        student,
        "x = [1]\ntry:\n    late(x)\n    ok = False\nexcept ValueError:\n    ok = True\nassert ok",
    )


def test_data_of_many_megabytes_are_not_sent_back(student):
    cell = "x, small = np.ones(1 << 21), np.ones(1)\nstep(x, x)\nassert x[0] == 1\n"
    run_cell(
        student, cell + "step(small, x[:1])\nassert small == 0\nsame(x, small)\nassert small == 1"
    )


def test_an_array_that_must_not_be_written_stays(student):
    run_cell(
        student, "x = np.ones(2)\nx.setflags(write=False)\nstep(x.copy(), x)\nassert x[0] == 1"
    )


def test_statements_that_ask_for_the_cells_own_names_still_see_them():
    assert run_cell(object(), "a = 1\nexec('b = a + 1')\nassert b == 2")["b"] == 2
    assert run_cell(object(), "x = [1]\nx.append(x[0])\nprint(x)")["x"] == [1, 1]
    assert np.array_equal(run_cell(object(), "x = np.ones(2)\nnp.copyto(x, 3 * x)")["x"], [3, 3])


LAYER = """
import numpy as np
W = np.eye(2)

def product(x):
    return x @ W

class Layer:
    def __init__(self):
        self.W = np.ones((2, 2))
        self.params = {"W": self.W, "bias": np.zeros(2), "rate": 0.5}
        self.all = [self.W]

    def forward(self, x):
        return self.params["rate"] * (x @ self.W + self.params["bias"])
"""


@pytest.mark.parametrize(
    "change, result",
    [
        ("layer.params['W'][0, 0] = 3", 2.0),  # another name for the same array sees it
        ("layer.W[0] += 2", 2.0),
        ("layer.all[0][0, 0] = 3", 2.0),
        ("p = layer.params\np['W'][0, 0] = 3\nlayer.forward(x)\np['W'][0, 0] = 5", 3.0),
        ("layer.params['bias'] = np.array([4.0, 4.0])", 3.0),
        ("layer.params['rate'] = 1.0", 2.0),
        ("layer.params['new'] = np.ones(1)", 1.0),
        ("layer.W = np.zeros((2, 2))", 0.0),
        ("w = layer.W.copy()\nw[0] = 9", 1.0),
    ],
)
def test_an_object_sees_what_a_test_changes_in_its_arrays_and_dicts(student_of, change, result):
    cell = f"x = np.ones((1, 2))\nlayer = Layer()\n{change}\nr = layer.forward(x)"
    assert run_cell(student_of(LAYER), cell)["r"][0, 0] == result


def test_a_numerical_gradient_of_a_parameter_is_possible(student_of):
    run_cell(
        student_of(LAYER),
        """
def numerical(f, w, h=1e-6):
    g = np.zeros_like(w)
    for i in np.ndindex(*w.shape):
        old = w[i]
        w[i] = old + h
        up = f()
        w[i] = old - h
        g[i] = (up - f()) / (2 * h)
        w[i] = old
    return g

x, layer = np.array([[1.0, 2.0]]), Layer()
g = numerical(lambda: layer.forward(x).sum(), layer.params["W"])
assert np.allclose(g, [[0.5, 0.5], [1.0, 1.0]])
assert np.array_equal(layer.params["W"], np.ones((2, 2)))
""",
    )


def test_a_function_sees_what_a_test_changes_in_a_variable(student_of):
    run_cell(student_of(LAYER), "W[0, 0] = 7\nassert product(np.ones((1, 2)))[0, 0] == 7")


def test_outside_of_a_tests_cell_fetched_values_are_copies(student_of):
    student = student_of(LAYER)
    layer = student.Layer()
    layer.W[0, 0] = 9
    assert layer.forward(np.ones((1, 2)))[0, 0] == 1.0


def test_a_value_that_is_fetched_in_a_loop_is_remembered_a_few_times(student_of):
    cell = "layer = Layer()\nw = layer.W\nfor n in range(100):\n    b = layer.params['bias']\n"
    run_cell(student_of(LAYER), cell + "w[0] = 4\nassert layer.all[0][0, 0] == 4")


def test_a_test_looks_a_function_up_with_its_call(student):
    """Each use of a name would else be a request of its own."""
    begun = requests_of(student)[0]
    run_cell(student, "for n in range(20):\n    assert same([[n]], [0]) is None")
    assert requests_of(student)[0] - begun == 1 + 20


def test_a_function_that_a_test_or_a_check_replaces_is_the_new_one(student):
    run_cell(
        student,
        "x = np.ones(1)\nassert cheat(x) == 0\ndef cheat(x):\n    return 5\nassert cheat(x) == 5",
    )
    run_cell(student, "sort([2, 1])")
    student.sort = 7
    assert run_cell(student, "got = sort + 1")["got"] == 8


def test_a_function_that_is_used_again_can_be_handed_on(student):
    run_cell(student, "assert apply(late, 1) == apply(late, 1) == 'late'")
