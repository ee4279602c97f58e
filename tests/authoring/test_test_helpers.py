"""Modules beside a file of tests, and beside the module that students hand in."""

import json

import pytest

from grader.authoring.importers.test_files import read_tests
from grader.authoring.importers.test_helpers import handed_in
from grader.authoring.template import write_from

HELPERS = {
    "close.py": "from limits import LIMIT\n\ndef close(a, b):\n    return abs(a - b) < LIMIT\n",
    "limits.py": "LIMIT = 0.5\nOTHER = 7\n",
}


@pytest.fixture
def source_of(tmp_path):
    """Return the source of the one test of a file that has the helper modules beside it."""

    def of(text, theirs=("shapes",)):
        for name, source in HELPERS.items():
            (tmp_path / name).write_text(source)
        path = tmp_path / "test_shapes.py"
        path.write_text(text)
        ((test,), _) = read_tests(path, set(theirs))
        return test.source

    return of


@pytest.mark.parametrize(
    ("head", "call"),
    [
        ("from close import close", "close(area(2, 3), 6)"),
        ("from tests.close import close as near", "near(area(2, 3), 6)"),
        ("from .close import *", "close(area(2, 3), 6)"),
        ("import close", "close.close(area(2, 3), 6)"),
        ("from . import close", "close.close(area(2, 3), 6)"),
    ],
)
def test_functions_of_a_helper_module_are_a_part_of_the_test(source_of, head, call):
    source = source_of(f"{head}\n\ndef test_area():\n    assert {call}\n")
    assert "OTHER" not in source
    exec(source, {"area": lambda w, h: w * h + 0.1})
    with pytest.raises(AssertionError):
        exec(source, {"area": lambda w, h: w + h})


def test_what_students_hand_in_is_never_a_part_of_the_test(source_of):
    source = source_of(
        "from close import close\n\ndef test_it():\n    assert close(1, 1)\n", ["close"]
    )
    assert "LIMIT" not in source


def test_modules_that_the_students_module_imports_are_the_students(tmp_path):
    (tmp_path / "shapes.py").write_text("from points import Point\nimport numpy\n")
    for name in ("points.py", "close.py"):
        (tmp_path / name).write_text("")
    assert handed_in([tmp_path / "shapes.py"]) == {"shapes", "points"}


def test_a_package_that_holds_the_students_module_is_the_students(tmp_path, source_of):
    (tmp_path / "geometry").mkdir()
    (tmp_path / "geometry/shapes.py").write_text("def area(w, h):\n    return w * h\n")
    assert handed_in([tmp_path / "geometry/shapes.py"]) == {"shapes"}
    (tmp_path / "geometry/__init__.py").write_text("from .shapes import area\n")
    theirs = handed_in([tmp_path / "geometry/shapes.py"])
    assert theirs == {"shapes", "geometry"}
    test = "def test_it():\n    from geometry import area as size\n    assert size(2, 3) == 6\n"
    source = source_of(test, theirs)
    assert "import" not in source
    exec(source, {"area": lambda w, h: w * h})


def test_a_module_that_is_nowhere_is_named_once_for_all_tests_that_import_it(tmp_path):
    (tmp_path / "shapes.py").write_text("def area(w, h):\n    return w * h\n")
    test = "def test_{}():\n    import no_such_package\n    assert area(2, 3) == 6\n"
    (tmp_path / "test_shapes.py").write_text(test.format("one") + test.format("two"))
    tests = [tmp_path / "test_shapes.py"]
    report = write_from("a", tmp_path / "reference", [tmp_path / "shapes.py"], tests=tests).report
    assert [line for line in report if line.startswith("!")] == [
        "! shapes.py: one, two: they need no_such_package, which is not here: install it, or put "
        "no_such_package.py beside"
    ]


def test_a_module_that_only_a_hidden_test_imports_stands_in_its_check_and_nowhere_else(tmp_path):
    (tmp_path / "secret_tests.py").write_text("def is_six(x):\n    assert x == 6\n")
    (tmp_path / "open_tests.py").write_text("def is_even(x):\n    assert x % 2 == 0\n")

    def cell(source, **said):
        metadata = {"nbgrader": {"schema_version": 3, "solution": False, "grade": False, **said}}
        return {"cell_type": "code", "source": source, "metadata": metadata, "outputs": []}

    test = (
        "from open_tests import is_even\nis_even(area(2, 3))\n### BEGIN HIDDEN TESTS\n"
        "from secret_tests import is_six\nis_six(area(2, 3))\n### END HIDDEN TESTS"
    )
    cells = [
        cell("def area(w, h):\n    ### BEGIN SOLUTION\n    return w * h\n    ### END SOLUTION",
             solution=True, grade_id="a"),
        cell(test, grade=True, points=2, grade_id="t"),
    ]  # fmt: skip
    document = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 4}
    (tmp_path / "lab.ipynb").write_text(json.dumps(document))
    report = write_from("lab", tmp_path / "reference", [tmp_path / "lab.ipynb"]).report
    folder = tmp_path / "reference/lab"
    hidden = (folder / "hidden/test_lab.py").read_text()
    assert "def is_six(x):" in hidden
    assert "from open_tests import is_even" in hidden
    assert "import is_six" not in hidden
    assert {path.name for path in folder.iterdir()} >= {"open_tests.py"}
    assert not (folder / "secret_tests.py").exists()
    assert "lab.ipynb, check t: the modules that only it imports stand in it: students don't get " \
        "them" in report  # fmt: skip
