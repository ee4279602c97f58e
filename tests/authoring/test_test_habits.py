"""What files of tests say to the tool that ran them before: points, mocks, functions by name."""

import sys
import textwrap
import types
from pathlib import Path

import pytest

from grader.authoring.importers.imported import Draft
from grader.authoring.importers.test_files import CourseTests, add_tests, read_tests
from grader.notebook import assembled
from grader.records import Cell

AREA = """
def area(w, h):
    ### START YOUR CODE ###
    return w * h
    ### END YOUR CODE ###
"""


@pytest.fixture
def read(tmp_path):
    """Return the tests of a file, by their own names, and its report."""

    def of(text):
        path = tmp_path / "test_shapes.py"
        path.write_text(textwrap.dedent(text))
        tests, report = read_tests(path, {"shapes"})
        return {test.name.rpartition(".")[2]: test for test in tests}, report

    return of


# --- points ---------------------------------------------------------------------------------------

GRADESCOPE = """
import unittest
from gradescope_utils.autograder_utils.decorators import number, visibility, weight
from shapes import area

class TestShapes(unittest.TestCase):
    @weight(2.5)
    @number("1.1")
    def test_area(self):
        self.assertEqual(area(2, 3), 6)

    @weight(4)
    @visibility("after_due_date")
    def test_area_of_nothing(self):
        self.assertEqual(area(0, 3), 0)

    @visibility("visible")
    def test_area_of_one(self):
        self.assertEqual(area(1, 1), 1)
"""


def test_gradescopes_weights_are_points_and_its_hidden_tests_hidden_checks(read):
    tests, report = read(GRADESCOPE)
    assert {name: (test.points, test.hidden) for name, test in tests.items()} == {
        "test_area": (2.5, False),
        "test_area_of_nothing": (4, True),
        "test_area_of_one": (1, False),
    }
    assert not any("gradescope_utils" in test.source for test in tests.values())
    assert report == []
    draft = Draft()
    notebook = assembled([Cell(0, "code", AREA)], name="shapes.ipynb")
    add_tests(draft, list(tests.values()), notebook, Path("shapes.py"))
    assert [(check.points, check.hidden) for check in draft.checks] == [
        (2.5, False), (4, True), (1, False),
    ]  # fmt: skip
    assert draft.items[0].points == 7.5


def test_a_test_that_sets_its_own_points_is_left_out_and_said(read):
    tests, report = read("""
        import unittest
        from gradescope_utils.autograder_utils.decorators import partial_credit
        class TestShapes(unittest.TestCase):
            @partial_credit(5)
            def test_area(self, set_score=None):
                set_score(5 * (area(2, 3) == 6))
    """)
    assert tests == {}
    assert report == [
        "! test_shapes.py, TestShapes.test_area: its points are set by its own code, with "
        "`@partial_credit`: write this check yourself"
    ]


@pytest.mark.parametrize("place", ["class", "method"])
def test_decorators_of_a_tool_that_is_not_here_are_left_out_and_said(read, place):
    above, below = ("@marks('1')", "") if place == "class" else ("", "@marks('1')")
    tests, report = read(f"""
        import unittest
        from nowhere_to_be_found import marks
        {above}
        class TestShapes(unittest.TestCase):
            {below}
            def test_area(self):
                self.assertEqual(area(2, 3), 6)
    """)
    assert "marks" not in tests["test_area"].source
    assert report == [
        "test_shapes.py: @marks of nowhere_to_be_found, which is not installed here: left out"
    ]


def test_decorators_of_what_is_here_stay(read):
    tests, report = read("""
        import functools
        class TestShapes:
            @functools.lru_cache
            def test_area(self):
                assert area(2, 3) == 6
    """)
    assert "@functools.lru_cache" in tests["test_area"].source
    assert report == []


# --- mocks ----------------------------------------------------------------------------------------


def test_a_mock_that_only_watches_calls_is_left_out_and_the_rest_of_the_test_stays(read):
    tests, report = read("""
        from unittest.mock import patch
        import math

        def test_area():
            with patch("shapes.math.prod", wraps=math.prod) as prod, open("a") as file:
                got = area(2, 3)
                prod.assert_called_once()
                assert got == 6
    """)
    source = tests["test_area"].source
    assert "patch" not in source
    assert "prod" not in source
    assert "with open('a') as file:\n        got = area(2, 3)\n        assert got == 6" in source
    assert report == [
        "! test_shapes.py, test_area: whether `math.prod` is called is not checked: `patch` "
        "doesn't reach the student's process"
    ]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("with patch('shapes.math.prod', wraps=len) as p:\n        area(2, 3)\n"
         "        p.assert_called()", "it only watches calls of `len`, by `patch`"),
        ("with patch('builtins.input', return_value='2'):\n        assert area(2, 3) == 6",
         "it replaces functions by `patch`, which doesn't reach the student's process"),
        ("with mock.patch.object(shapes, 'width'):\n        assert area(2, 3) == 6",
         "it replaces functions by `patch`, which doesn't reach the student's process"),
    ],
)  # fmt: skip
def test_a_test_that_a_mock_is_needed_for_is_left_out_and_said(read, body, why):
    tests, report = read(f"from unittest.mock import patch\n\ndef test_area():\n    {body}\n")
    assert tests == {}
    assert report == [f"! test_shapes.py, test_area: {why}: write this check yourself"]


def test_a_test_of_printed_output_is_left_out_and_said(read):
    tests, _ = read("""
        import contextlib, io
        def test_area():
            with contextlib.redirect_stdout(io.StringIO()) as out:
                area(2, 3)
            assert out.getvalue() == "6"
    """)
    draft = Draft()
    notebook = assembled([Cell(0, "code", AREA)], name="shapes.ipynb")
    add_tests(draft, list(tests.values()), notebook, Path("shapes.py"))
    assert [line.text for line in draft.lines if line.todo] == [
        "test_area reads what the student prints, which a check can't: left out"
    ]
    assert draft.checks == []


# --- functions by name ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "call"),
    [
        ("NAME = 'src.shapes'\narea = load(NAME, 'area')", "area(2, 3)"),
        ("area = load('src.shapes', 'area')", "area(2, 3)"),
        ("import shapes\narea = getattr(shapes, 'area')", "area(2, 3)"),
        ("import importlib\nmod = importlib.import_module('src.shapes')", "mod.area(2, 3)"),
        ("mod = import_module('shapes')\nf = getattr(mod, 'area')", "f(2, 3)"),
    ],
)
def test_a_function_that_a_file_loads_by_its_name_is_the_students(read, head, call):
    head = f"from nowhere_to_be_found import load\n{head}"
    tests, _ = read(f"{head}\n\ndef test_it():\n    assert {call} == 6\n")
    scope = {"area": lambda w, h: w * h}
    assert "load" not in tests["test_it"].source
    exec(tests["test_it"].source, scope)  # the names that it doesn't set are the student's


@pytest.mark.parametrize(
    "head",
    ["limit = load('limits', 'area')", "limit = load('shapes', 'a b')", "limit = load(1, 2)"],
)
def test_what_is_loaded_from_elsewhere_stays(read, head):
    tests, _ = read(f"{head}\n\ndef test_it():\n    assert area(2, 3) < limit\n")
    assert head in tests["test_it"].source


def test_words_of_tests_that_cannot_be_checks_count_as_uses(tmp_path):
    path = tmp_path / "test_shapes.py"
    path.write_text("def test_it(tmp_path):\n    assert area(2, 3) == 6\n")
    course = CourseTests([path], {"shapes"})
    assert "area" in course.words()
    assert course.report() == [
        "! test_shapes.py, test_it: it needs the fixture `tmp_path`: write this check yourself"
    ]


# --- names that a file and its students share -----------------------------------------------------


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (
            "from reference_shapes import area\nimport shapes",
            "assert shapes.area(2, 3) == area(2, 3)",
        ),
        ("import shapes", "area = shapes.area(2, 3)\n    assert area == 6"),
        ("import shapes\ndef area(w, h):\n    return 6", "assert shapes.area(2, 3) == area(2, 3)"),
        ("import shapes", "for area in [shapes.area(2, 3)]:\n        assert area == 6"),
        ("import shapes\ndef same(area):\n    return shapes.area(2, 3) == area", "assert same(6)"),
    ],
)
def test_a_name_of_the_files_own_never_stands_for_the_students(read, monkeypatch, head, body):
    tests, _ = read(f"{head}\n\ndef test_it():\n    {body}\n")
    known = types.ModuleType("reference_shapes")
    known.area = lambda w, h: w * h
    monkeypatch.setitem(sys.modules, "reference_shapes", known)
    exec(tests["test_it"].source, {"area": lambda w, h: w * h})
    with pytest.raises(AssertionError):
        exec(tests["test_it"].source, {"area": lambda w, h: w + h})


def test_a_method_of_a_test_with_the_name_of_a_students_function_stays(read):
    tests, _ = read("""
        import unittest, shapes
        class TestShapes(unittest.TestCase):
            def area(self, w):
                return shapes.area(w, 3)
            def test_it(self):
                self.assertEqual(self.area(2), 6)
    """)
    exec(tests["test_it"].source, {"area": lambda w, h: w * h})
