"""A course's own files of tests become checks: pytest's functions, and unittest's classes."""

import textwrap

import pytest

from grader.authoring.importers.imported import Draft
from grader.authoring.importers.test_files import add_tests, read_tests
from grader.checks import run_cell
from grader.errors import AssignmentError, CheckFailed
from grader.notebook import assembled
from grader.records import Cell

LAYERS = """
LIMIT = 3

def load(n):
    ### START YOUR CODE ###
    return list(range(n))
    ### END YOUR CODE ###

def mean_of(numbers):
    ### START YOUR CODE ###
    return sum(numbers) / len(numbers)
    ### END YOUR CODE ###

class Layer:
    def __init__(self, w):
        ### START YOUR CODE ###
        self.w = w
        ### END YOUR CODE ###

    def forward(self, x):
        ### START YOUR CODE ###
        return self.w * x
        ### END YOUR CODE ###
"""


@pytest.fixture
def file(tmp_path):
    def write(text, name="test_layers.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return path

    return write


def found_in(path):
    return read_tests(path, {"layers"})[0]


def drafted(path, source=LAYERS):
    """The draft of the notebook with the tests, and the names of the tests that it took."""
    notebook = assembled([Cell(0, "code", source)], name="layers.ipynb")
    draft = Draft()
    taken = add_tests(draft, found_in(path), notebook, path.with_name("layers.py"))
    return draft, taken


class Own:
    """A student whose names are those of a module."""

    def __init__(self, source=LAYERS):
        self.__dict__ |= (scope := {})
        exec(source, scope)
        self.__dict__ |= scope


def test_a_test_becomes_a_check_with_what_it_needs_of_its_file(file):
    path = file("""
        import math
        from layers import *
        FACTOR = 2
        UNUSED = 5

        def twice(x):
            return FACTOR * x

        def test_mean_of():
            assert math.isclose(twice(mean_of([1, 2])), 3)

        def submit():
            pass
        """)
    (test,) = found_in(path)
    assert "UNUSED" not in test.source and "submit" not in test.source
    assert "layers" not in test.source
    run_cell(Own(), test.source)
    with pytest.raises(CheckFailed):
        run_cell(Own(LAYERS.replace("sum(numbers) /", "1 +")), test.source)


def test_a_test_belongs_to_the_gap_that_its_name_is_like(file):
    draft, _ = drafted(file("def test_mean_of():\n    assert mean_of(load(3)) == 1\n"))
    assert [(item.functions, item.points) for item in draft.items] == [(("mean_of",), 1)]
    assert [check.exercise for check in draft.checks] == ["mean-of"]


CHAIN = (
    LAYERS
    + """
class Net(Layer):
    def loss(self, x):
        ### START YOUR CODE ###
        return mean_of(self.inner(x))
        ### END YOUR CODE ###

    def inner(self, x):
        return self.forward(x)
"""
)


def test_an_exercise_builds_on_the_gaps_that_its_tests_and_the_solution_call(file):
    path = file("""
        def test_mean_of():
            assert mean_of(load(3)) == 1
        def test_load():
            assert load(1) == [0]
        def test_loss():
            assert Net(2).loss(load(3)) == 2
        """)
    built_on = {item.id: (item.needs, item.builds_on) for item in drafted(path, CHAIN)[0].items}
    assert built_on["load"] == ((), ())
    assert built_on["mean-of"] == (("load",), ("load",))
    assert built_on["net-loss"] == (("load",), ("load", "mean_of", "Layer.forward"))


def test_a_method_of_self_is_that_of_its_own_class(file):
    source = (
        LAYERS
        + """
class Other(Layer):
    def forward(self, x):
        return x

    def run(self, x):
        ### START YOUR CODE ###
        return self.forward(x)
        ### END YOUR CODE ###
"""
    )
    draft, _ = drafted(file("def test_run():\n    assert Other(1).run(2) == 2\n"), source)
    assert [item.builds_on for item in draft.items] == [()]


def test_two_tests_of_a_gap_are_two_points_of_its_exercise(file):
    draft, _ = drafted(
        file(
            "def test_load():\n    assert load(1)\ndef test_load_none():\n    assert not load(0)\n"
        )
    )
    assert [(item.id, item.points) for item in draft.items] == [("load", 2)]
    assert [check.name for check in draft.checks] == ["load", "load-none"]


@pytest.mark.parametrize(
    "text",
    [
        "import layers\ndef test_load():\n    assert layers.load(2) == [0, 1]\n",
        "import layers as L\ndef test_load():\n    assert L.load(2) == [0, 1]\n",
        "from src import layers\ndef test_load():\n    assert layers.load(2) == [0, 1]\n",
        "from src.layers import load as get\ndef test_load():\n    assert get(2) == [0, 1]\n",
        "import pytest\n@pytest.mark.parametrize('n, last', [(1, 0), (3, 2)])\n"
        "def test_load(n, last):\n    assert load(n)[-1] == last\n",
        "import pytest\n@pytest.mark.parametrize('n', [1, 3])\n@pytest.mark.slow\n"
        "def test_load(n, k=0):\n    assert load(n)[-1] == n - 1 + k\n",
    ],
)
def test_names_of_the_students_module_and_parameters_are_understood(file, text):
    (test,) = found_in(file(text))
    run_cell(Own(), test.source)
    with pytest.raises(CheckFailed):
        run_cell(Own(LAYERS.replace("range(n)", "range(1, n + 1)")), test.source)


def test_each_test_of_a_unittest_class_is_a_check_with_its_set_up(file):
    path = file("""
        import unittest
        from layers import Layer

        class TestLayer(unittest.TestCase):
            @classmethod
            def setUpClass(cls):
                cls.factor = 2

            def setUp(self):
                self.layer = Layer(self.factor)

            def test_forward(self):
                self.assertEqual(self.layer.forward(3), 6)

            def test_forward_zero(self):
                self.assertEqual(self.layer.forward(0), 0)

        if __name__ == "__main__":
            unittest.main()
        """)
    first, second = found_in(path)
    assert "test_forward_zero" not in first.source
    run_cell(Own(), first.source)
    run_cell(Own(), second.source)
    with pytest.raises(CheckFailed, match="7 != 6"):
        run_cell(Own(LAYERS.replace("self.w * x", "self.w * x + 1")), first.source)
    draft, _ = drafted(path)
    assert [item.functions for item in draft.items] == [("Layer.forward",)]


def test_a_test_of_a_function_that_nobody_defines_is_left_out_and_named(file):
    draft, taken = drafted(file("def test_load_fast():\n    assert load_fast(3) == load(3)\n"))
    assert not draft.checks
    assert taken == {"test_load_fast"}
    assert [line.text for line in draft.lines if line.todo] == [
        "test_load_fast uses `load_fast`, which layers.py doesn't define: left out"
    ]


def test_a_test_of_something_else_is_not_taken(file):
    draft, taken = drafted(file("def test_limit():\n    assert LIMIT == 3\n"))
    assert (draft.items, taken) == ([], set())


def test_files_beside_the_notebook_that_a_test_opens_are_needed(file):
    file("1 2", "numbers.txt")
    draft, _ = drafted(file("def test_load():\n    assert load(open('numbers.txt').read())\n"))
    assert draft.files == {"numbers.txt": 0}


@pytest.mark.parametrize(
    ("text", "words"), [("def helper(): pass", "holds no test"), ("def f(:", "doesn't compile")]
)
def test_a_file_without_tests_is_refused(file, text, words):
    with pytest.raises(AssignmentError, match=words):
        read_tests(file(text), set())
