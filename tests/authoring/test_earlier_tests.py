"""What a cell of tests has set is there for the later ones, as it is in a notebook."""

from grader.authoring.importers import import_notebook
from grader.records import Cell, Notebook

GAP = "def f(x):\n    ### BEGIN SOLUTION\n    return 2 * x\n    ### END SOLUTION"


def checks_of(*cells):
    """The checks, by name, of a notebook of nbgrader; a cell is (kind, text)."""
    made = []
    for number, (kind, source) in enumerate(cells):
        said = {
            "grade": kind == "tests", "solution": kind == "solution", "points": 1,
            "grade_id": f"t{number}", "locked": False, "schema_version": 3, "task": False,
        }  # fmt: skip
        made.append(
            Cell(number, "code", source, metadata={"nbgrader": said} if kind else {})
        )  # fmt: skip
    draft = import_notebook(Notebook("toy.ipynb", tuple(made)))
    return {check.name: check for check in draft.checks}


def test_a_value_of_an_earlier_cell_is_set_again_with_what_it_needs_and_without_asserts():
    checks = checks_of(
        ("solution", GAP),
        ("tests", "n = 3\nother = 1\ny = f(n)\nassert y == 6"),
        ("tests", "assert y + 1 == 7"),
    )
    assert checks["t2"].source == "n = 3\nother = 1\ny = f(n)\nassert y + 1 == 7"
    assert checks["t1"].source.startswith("n = 3\n")
    assert not checks["t2"].hidden


def test_a_cell_that_sets_its_own_needs_no_earlier_one():
    checks = checks_of(
        ("solution", GAP),
        ("tests", "y = f(1)\nassert y == 2"),
        ("tests", "y = f(2)\nassert y == 4"),
        ("tests", "assert [y for y in (1, 2)]"),
    )
    assert checks["t2"].source == "y = f(2)\nassert y == 4"
    assert checks["t3"].source == "assert [y for y in (1, 2)]"


def test_what_the_notebook_has_set_since_is_the_students():
    checks = checks_of(
        ("tests", "y = 1\nassert y"), ("", "y = 5"), ("solution", GAP), ("tests", "assert y == 5")
    )
    assert checks["t3"].source == "assert y == 5"
    again = checks_of(
        ("", "y = 5"), ("solution", GAP), ("tests", "y = 1\nassert y"), ("tests", "assert y == 1")
    )
    assert again["t3"].source == "y = 1\nassert y == 1"


def test_what_the_hidden_part_of_an_earlier_cell_sets_makes_a_later_check_hidden():
    hides = "a = f(1)\nassert a\n### BEGIN HIDDEN TESTS\nb = f(17)\nassert b\n### END HIDDEN TESTS"
    checks = checks_of(("solution", GAP), ("tests", hides), ("tests", "assert a < b"))
    assert checks["t2"].hidden
    assert checks["t2"].source == "a = f(1)\nb = f(17)\nassert a < b"
    assert "17" not in checks["t1-shown"].source
    open_ = checks_of(("solution", GAP), ("tests", hides), ("tests", "assert a"))["t2"]
    assert (open_.hidden, open_.source) == (False, "a = f(1)\nassert a")


def test_two_settings_of_one_name_come_in_their_order():
    checks = checks_of(
        ("solution", GAP),
        ("tests", "total = 1\ntotal += f(1)\nassert total"),
        ("tests", "total += 1\nassert total == 4"),
        ("tests", "assert total == 4"),
    )
    assert checks["t2"].source.startswith("total = 1\ntotal += f(1)\ntotal += 1")
    assert checks["t3"].source == "total = 1\ntotal += f(1)\ntotal += 1\nassert total == 4"
