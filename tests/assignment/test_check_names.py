"""The names of checks, read from the files alone: which assignment is meant by one."""

import pytest

from grader.assignment.check_names import assignment_of_check, check_names, near_checks
from grader.errors import AssignmentError


@pytest.fixture
def folders(tmp_path):
    files = {
        "images/test_flips.py": "def test_flip_keeps_the_shape(student):\n    pass\n"
        "class TestTurns:\n    async  def test_turn (self): pass\n",
        "images/hidden/test_more.py": "def test_shape_of_a_turn(student): pass\n",
        "images/assignment.toml": '[[exercises]]\nid = "1a"\n[[exercises]]\nid = "1b"\n',
        "costs/test_costs.py": "def test_cost_of_one(student): pass\ndef helper(): pass\n",
        "costs/assignment.toml": '[[exercises]]\nid = "2a"\n',
        "broken/test_broken.py": "def test_shape_is_kept(student): (\n",
        "broken/assignment.toml": "[[exercises]\n",
    }
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return {name: tmp_path / name for name in ("images", "costs", "broken")}


def refusal(wanted, folders):
    with pytest.raises(AssignmentError) as refused:
        assignment_of_check(wanted, folders)
    return str(refused.value)


@pytest.mark.parametrize(
    ("wanted", "assignment"),
    [
        ("test_flip_keeps_the_shape", "images"),
        ("flip keeps the shape", "images"),
        ("turn", "images"),
        ("1b", "images"),
        ("2a", "costs"),
        ("cost", "costs"),
        ("shape_is_kept", "broken"),
    ],
)
def test_an_assignment_is_found_by_a_check_an_exercise_or_a_part_of_a_name(
    folders, wanted, assignment
):
    assert assignment_of_check(wanted, folders) == assignment


def test_hidden_checks_and_those_of_classes_are_named_and_other_functions_are_not(folders):
    assert check_names(folders["images"]) == [
        "test_shape_of_a_turn",
        "test_flip_keeps_the_shape",
        "test_turn",
    ]
    assert check_names(folders["costs"]) == ["test_cost_of_one"]


def test_what_several_assignments_have_is_told_with_those_alone(folders):
    assert refusal("shape", folders) == (
        "'shape' may be of broken, images: grade try shape ASSIGNMENT"
    )


def test_a_check_that_no_assignment_has_is_told_with_what_is_near(folders):
    assert refusal("test_cots_of_one", folders) == (
        "no assignment has a check 'test_cots_of_one', nor an exercise of that id; did you mean "
        "test_cost_of_one (costs)?"
    )
    assert refusal("NOSUCH", folders) == (
        "no assignment has a check 'NOSUCH', nor an exercise of that id; "
        "grade try NOSUCH ASSIGNMENT lists the exercises of one: broken, costs, images"
    )


def test_a_few_words_of_a_name_are_near_too():
    checks = ["test_gradient_of_the_weights", "test_plot", "test_the_gradient_vanishes", "test_x"]
    assert near_checks("gradeint", checks) == [
        "test_gradient_of_the_weights",
        "test_the_gradient_vanishes",
    ]
    assert near_checks("test_the_gradients", checks)[0] == "test_the_gradient_vanishes"
    assert near_checks("zzz", checks) == []
