"""Cells of a course without metadata that are tests: asserts, and calls that assert."""

import pytest

from grader.authoring.importers import import_notebook
from grader.authoring.importers.plain_course import answers_in
from grader.authoring.template import write_from
from grader.notebook import assembled
from grader.records import Cell

GAP = "def slope(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"


def checks_of(*cells):
    numbered = [Cell(number, "code", source) for number, source in enumerate(cells)]
    return [check.source for check in import_notebook(assembled(numbered, name="a.ipynb")).checks]


@pytest.mark.parametrize(
    "test",
    [
        "assert slope(1) == 2",
        "np.testing.assert_allclose(slope(1), 2)",
        "assert_array_equal([2], slope([1]))",
        "tc.assertEqual(slope(1), 2)",
        "for x in range(3):\n    assert_equal(slope(x), 2 * x)",
    ],
)
def test_a_cell_that_asserts_something_of_a_gap_is_a_test(test):
    assert checks_of(GAP, test) == [test]


@pytest.mark.parametrize(
    "cell", ["slope(3)", "print(slope(3))", "assertion = slope(3)", "asserted(slope(3))"]
)
def test_a_cell_that_only_calls_a_gap_is_none(cell):
    assert checks_of(GAP, cell) == []


def test_an_assert_of_something_else_is_none():
    assert checks_of(GAP, "np.testing.assert_allclose(x, 2)") == []


# --- tests in the cell of the gap -----------------------------------------------------------------


def test_asserts_below_a_gap_in_its_cell_are_a_check_with_what_they_need():
    cell = (
        f"import math\n{GAP}\n\nx = 2\nz = draw(9)\ny = slope(x)\nprint(y)\n"
        "assert y == 4\nassert_equal(slope(1), 2)"
    )
    assert checks_of(cell) == [
        "x = 2\ny = slope(x)\nassert y == 4\nassert_equal(slope(1), 2)",
    ]


def test_asserts_inside_of_a_gap_or_a_function_are_the_students():
    solved = GAP.replace("    return", "    assert x > 0\n    return")
    assert checks_of(f"{solved}\nslope(1)") == []
    assert checks_of(f"{GAP}\ndef other(x):\n    assert slope(x)") == []


def test_asserts_below_a_gap_outside_of_functions_are_a_check_of_its_variables():
    gap = "### BEGIN SOLUTION\nrate = 3\n### END SOLUTION"
    assert checks_of(f"{gap}\nassert rate == 3") == ["assert rate == 3"]


# --- functions with the name of a builtin ---------------------------------------------------------


def test_a_function_of_the_students_with_a_builtins_name_is_theirs_in_the_test(tmp_path):
    text = (
        "# %%\nimport math\n# %%\ndef sum(x):\n    ### BEGIN SOLUTION\n    return x[0] + x[1]\n"
        "    ### END SOLUTION\n# %%\nassert sum([1, 2]) == math.hypot(3, 0)\n"
        "# %%\ndef half(x):\n    # YOUR CODE HERE\n    return x / 2\n"
        "# %%\nassert half(4) == abs(-2)\n"
    )
    (tmp_path / "lab.py").write_text(text)
    write_from("lab", tmp_path / "reference", [tmp_path / "lab.py"])
    checks = (tmp_path / "reference/lab/test_lab.py").read_text()
    first, second = checks.split("@pytest.mark")[1:]
    assert 'names={**NAMES, "sum": student.value("sum")})' in first
    assert "names=NAMES)" in second


def test_a_function_of_the_students_with_the_name_of_an_import_is_theirs_in_the_test(tmp_path):
    text = (
        "# %%\nfrom math import hypot, sqrt\n# %%\ndef hypot(a, b):\n    # YOUR CODE HERE\n"
        "    return sqrt(a * a + b * b)\n# %%\nassert hypot(3, 4) == sqrt(25)\n"
    )
    (tmp_path / "lab.py").write_text(text)
    write_from("lab", tmp_path / "reference", [tmp_path / "lab.py"])
    checks = (tmp_path / "reference/lab/test_lab.py").read_text()
    assert 'NAMES = {"sqrt": sqrt}' in checks


# --- answers in words -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("**Short Answer:** Why is the mean larger?", []),
        ("**Short answer:** in your own words, describe the slope.", []),
        ("Long answer: Explain both terms.\n\n**Answer:** They grow.", ["**Answer:** "]),
        ("**Short answer:** it grows with n", ["**Short answer:** "]),
        ("**Solution:** what grows is n", ["**Solution:** "]),
        ("**Answer:** Why not? Since n grows.", ["**Answer:** "]),
    ],
)
def test_a_label_for_a_kind_of_question_begins_no_answer(text, found):
    assert [match.group().lstrip() for match in answers_in(text)] == found
