"""The template's own code, rewritten by a student, decides nothing, and is noticed."""

import pytest

pytestmark = pytest.mark.any_user

MAX = 8.0


def rewritten(host, solution, kind, name, changes):
    cells = solution(kind)
    for old, new in changes.items():
        assert any(old in cell for cell in cells)
        cells = [cell.replace(old, new) for cell in cells]
    return host.hand_in(name, cells)


ERROR = {"return np.mean(np.abs(self.x @ w - self.y))": "return 0.0"}
INIT = {"self.x = x": "self.x = 0 * x"}


@pytest.fixture(scope="module")
def changed(toy, solution, graded_together):
    """The verdicts on answers that change what the template gave."""
    return graded_together(
        toy,
        {
            "wrong": rewritten(toy, solution, "wrong", "wrong", ERROR),
            "right": rewritten(toy, solution, "right", "right", ERROR),
            "needed": rewritten(toy, solution, "right", "needed", INIT),
        },
    )


def test_an_error_that_is_always_zero_earns_nothing_and_costs_nothing(changed):
    assert changed["wrong"]["score"] == 0.0
    assert changed["right"]["score"] == MAX


@pytest.mark.parametrize("kind", ["wrong", "right"])
def test_what_was_changed_outside_the_gaps_is_noticed(changed, notes, kind):
    assert "Model.error" in notes(changed[kind])["changed_outside_region"]


def test_rewritten_template_code_that_the_answer_needs_costs_its_exercise(changed, points):
    assert points(changed["needed"]) == {"square": 2.0, "sigmoid": 3.0, "gradient": 0.0}


LATER = {
    "a method replaced": "Model.error = lambda self, w: 0.0\nModel.evaluate = lambda self: 1.0",
    "a class replaced": "class Model:\n    def __init__(self, x, y): pass\n"
    "    def cost(self, w): return 0.0\n    def grad(self, w): return 0 * w",
    "a name of the template deleted": "del model",
}


@pytest.fixture(scope="module")
def later_cells(toy, solution, graded_together):
    """The verdicts on half-right answers after which another cell comes."""
    return graded_together(
        toy,
        {
            later: toy.hand_in(f"s{n}", [*solution("half"), cell])
            for n, (later, cell) in enumerate(LATER.items())
        },
    )


@pytest.mark.parametrize("later", LATER)
def test_what_a_later_cell_makes_of_it_counts_by_its_values(later_cells, points, later):
    lost = {"gradient": 0.0} if later == "a class replaced" else {}
    expected = {"square": 2.0, "sigmoid": 0.0, "gradient": 3.0} | lost
    assert points(later_cells[later]) == expected
