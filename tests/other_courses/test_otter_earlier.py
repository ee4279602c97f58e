"""A course in the form that otter assign took at first, and jassign: no raw cells."""

import pytest

from grader.authoring.importers import import_notebook
from grader.authoring.leaks import _MARKERS
from grader.notebook import assembled
from grader.records import Cell

SHOWN = {"output_type": "execute_result"}


def code(source, output=""):
    return Cell(0, "code", source, ({**SHOWN, "data": {"text/plain": output}},) if output else ())


def text(source):
    return Cell(0, "markdown", source)


def raw(source):
    return Cell(0, "raw", source)


def drafted(*cells):
    numbered = [
        Cell(number, cell.kind, cell.source, cell.outputs) for number, cell in enumerate(cells)
    ]
    return import_notebook(assembled(numbered, name="lab.ipynb"), None)


def asked(words, keys, edges=("```", "```")):
    return text(f"{words}\n\n{edges[0]}\nBEGIN QUESTION\n{keys}\n{edges[1]}")


LAB = (
    text("```\nBEGIN ASSIGNMENT\ninit_cell: false\n```"),
    code("import numpy as np"),
    text("# Part 1: masses"),
    asked("Which mass is the largest?", "name: q1\nmanual: false\npoints: 3"),
    code("masses = np.array([2.0, 7.0, 5.0])\nlargest = masses.max() # SOLUTION"),
    code("# TEST\nlargest > 5", "True"),
    code("## Test ##\nround(float(largest), 1)", "7.0"),
    code("## Hidden Test ##\nlargest == masses[1]", "True"),
    text("# Part 2: sums"),
    asked("Define `total`.", "name: q2", ("<!--", "-->")),
    code("def total(x):\n    # BEGIN SOLUTION\n    return sum(x)\n    # END SOLUTION"),
    code("# HIDDEN TEST\nassert total([1, 2]) == 3"),
    asked("Why is it so?", "name: q3\nmanual: True\npoints: 4"),
    text("**SOLUTION**: Because of the secret."),
    text("This text belongs to no question."),
    code("given = 1"),
)


def test_its_tests_become_checks_that_share_the_points_of_their_question():
    draft = drafted(*LAB)
    found = [(c.exercise, c.source, c.points, c.hidden, c.output) for c in draft.checks]
    assert found == [
        ("q1", "largest > 5", 1, False, "True"),
        ("q1", "round(float(largest), 1)", 1, False, "7.0"),
        ("q1", "largest == masses[1]", 1, True, "True"),
        ("q2", "assert total([1, 2]) == 3", 1, True, None),
    ]
    assert [(i.id, i.points, i.manual) for i in draft.items] == [
        ("q1", 3, False), ("q2", 1, False), ("q3", 4, True),
    ]  # fmt: skip
    assert [item.title for item in draft.items] == ["Part 1: masses", *["Part 2: sums"] * 2]
    assert not [line for line in draft.lines if line.todo]


def test_students_get_neither_its_keys_nor_its_hidden_tests_nor_its_answers():
    draft = drafted(*LAB)
    cells = [cell for cell in draft.cells if "solution" not in str(cell.metadata)]
    shown = "\n".join(cell.source for cell in cells)
    for secret in ("BEGIN QUESTION", "BEGIN ASSIGNMENT", "name: q", "masses[1]", "secret"):
        assert secret not in shown
    for given in ("Which mass", "Define `total`", "belongs to no question", "given = 1"):
        assert given in shown


def test_a_test_outside_of_any_question_is_left_out_and_said():
    draft = drafted(*LAB, code("# HIDDEN TEST\nassert given == 1"))
    assert "given == 1" not in "\n".join(cell.source for cell in draft.cells)
    (line,) = [line for line in draft.lines if line.todo]
    assert (line.cell, line.text) == (16, "a test that belongs to no question: left out")


def test_a_students_notebook_with_plain_comments_is_no_source_of_otters():
    page = text("<!-- BEGIN QUESTION -->\n\nWhich one?\n\n<!-- END QUESTION -->")
    assert drafted(page, code("x = 1")).kind == "solved notebook"


def question(keys, *tests):
    return (
        raw(f"# BEGIN QUESTION\nname: q1\n{keys}"),
        raw("# BEGIN SOLUTION"), code("x = 4 # SOLUTION"), raw("# END SOLUTION"),
        raw("# BEGIN TESTS"), *(code(test) for test in tests), raw("# END TESTS"),
        raw("# END QUESTION"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("keys", "points"),
    [
        ("points: 2", [1, 1]),
        ("points: [0.5, 1.5]", [0.5, 1.5]),
        ("points:\n  - 0\n  - 3  # the hard one", [0, 3]),
        ("points:\n- 0\n- 3", [0, 3]),
        ("points:\n    each: 2", [2, 2]),
    ],
)
def test_points_of_a_question_may_be_a_list_or_for_each_test(keys, points):
    draft = drafted(*question(keys, "assert x > 3", "assert x < 5"))
    assert [check.points for check in draft.checks] == points
    assert [item.points for item in draft.items] == [sum(points)]


def test_a_list_of_points_that_does_not_fit_the_tests_is_said():
    draft = drafted(*question("points: [1, 2, 3]", "assert x > 3", "assert x < 5"))
    (line,) = [line for line in draft.lines if line.todo]
    assert line.text == "q1 lists points for 3 tests and has 2"


def test_a_question_with_tests_whose_solution_is_not_there_is_said():
    cells = [cell for cell in question("", "assert x > 3") if "SOLUTION" not in cell.source]
    draft = drafted(*cells[:1], code("x = ..."), *cells[1:])
    (line,) = [line for line in draft.lines if line.todo]
    assert line.text == "q1 has tests and no gap: mark its solution, or write it"


@pytest.mark.parametrize("line", ["# HIDDEN TEST", "## Hidden Test ##", "# HIDDEN"])
def test_a_mark_of_a_hidden_test_stops_the_stubs(line):
    assert _MARKERS.search(line)
