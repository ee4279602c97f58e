"""A module without markers, and the file of its tests: what these use are the gaps."""

import re

import pytest

from grader.assignment import load_assignment
from grader.authoring.template import UnmarkedNotebook, write_from
from grader.errors import AssignmentError
from grader.notebook import read_notebook

MODULE = '''import csv


def rows():
    """Return the table's rows."""
    with open("src/heights.csv") as file:
        return list(csv.reader(file))


def mean(numbers):
    return sum(numbers) / len(numbers)


class Interval:
    def __init__(self, low, high):
        self.low, self.high = low, high

    def __contains__(self, x):
        return self.low <= x <= self.high


def flat(x): return x


if __name__ == "__main__":
    print(mean([1, 2]))
'''
TESTS = """
import unittest
from src.shapes import Interval, flat, mean

class TestShapes(unittest.TestCase):
    def test_mean(self):
        self.assertEqual(mean([1, 3]), 2)

    def test_interval(self):
        self.assertTrue(2 in Interval(1, 3))

    def test_flat(self):
        self.assertEqual(flat(1), 1)
"""


@pytest.fixture
def course(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/shapes.py").write_text(MODULE)
    (tmp_path / "src/heights.csv").write_text("1,2\n")
    (tmp_path / "test_shapes.py").write_text(TESTS)
    return tmp_path


def written(course, **more):
    tests = [course / "test_shapes.py"]
    return write_from(
        "shapes", course / "reference", [course / "src/shapes.py"], tests=tests, **more
    )


def gaps_in(course):
    return list(read_notebook(course / "reference/shapes/shapes.ipynb").regions)


def test_functions_and_classes_that_tests_use_become_gaps_and_the_report_says_it(course):
    report = written(course).report
    assert gaps_in(course) == ["mean", "Interval.__init__", "Interval.__contains__"]
    why = "is a gap, since a test uses it and no marker is there"
    assert f"shapes.py, cell 0: the body of `mean` {why}" in report
    assert "! shapes.py, cell 0: cell 0, `flat`: give the body lines of its own first" in report
    (others,) = [line for line in report if "no test uses it" in line]
    assert "students get `rows` as your file has it" in others
    options = "--gap mean --gap Interval.__init__ --gap Interval.__contains__ --gap rows"
    assert others.endswith(f"for more gaps name them all: {options}")


def test_a_file_that_is_opened_from_the_folder_above_goes_with_the_module(course):
    report = written(course).report
    assert (course / "reference/shapes/src/heights.csv").read_text() == "1,2\n"
    assert "src/heights.csv" in load_assignment(course / "reference/shapes").files
    assert not [line for line in report if "not beside" in line]


def test_gaps_that_are_named_are_the_only_ones(course):
    written(course, gaps=["mean"])
    assert gaps_in(course) == ["mean"]


def test_markers_in_the_module_are_the_only_gaps(course):
    path = course / "src/shapes.py"
    lines = "    ### START YOUR CODE ###\n{}\n    ### END YOUR CODE ###"
    line = "    return sum(numbers) / len(numbers)"
    path.write_text(MODULE.replace(line, lines.format(line)))
    written(course)
    assert gaps_in(course) == ["mean"]


def test_tests_of_another_module_make_no_gap(course):
    (course / "test_shapes.py").write_text("def test_other():\n    assert other() == 1\n")
    with pytest.raises(UnmarkedNotebook):
        written(course)


@pytest.mark.parametrize("name", ["lab.md", "lab.Rmd", "lab.qmd", "lab.py"])
def test_a_form_of_jupytexts_that_is_not_read_is_refused_with_its_command(tmp_path, name):
    header = (
        "# ---\n# jupyter:\n#   jupytext:\n#     text_representation:\n#       format_name: light\n"
    )
    (tmp_path / name).write_text(header)
    with pytest.raises(AssignmentError, match=rf"`jupytext --to ipynb {re.escape(name)}`"):
        write_from("lab", tmp_path / "reference", [tmp_path / name])


def test_a_script_of_percent_cells_is_read(tmp_path):
    text = "#       format_name: percent\n# %%\ndef f(x):\n    # YOUR CODE HERE\n    return x\n"
    (tmp_path / "lab.py").write_text(text)
    write_from("lab", tmp_path / "reference", [tmp_path / "lab.py"])
    assert (tmp_path / "reference/lab/lab.ipynb").is_file()
