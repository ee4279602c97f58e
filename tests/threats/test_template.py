"""The template's own code, rewritten by a student, decides nothing, and is noticed."""

import pytest

MAX = 8.0


def rewritten(host, solution, kind, name, changes):
    cells = solution(kind)
    for old, new in changes.items():
        assert any(old in cell for cell in cells)
        cells = [cell.replace(old, new) for cell in cells]
    return host.hand_in(name, cells)


ERROR = {"return np.mean(np.abs(self.x @ w - self.y))": "return 0.0"}
INIT = {"self.x = x": "self.x = 0 * x"}


def test_an_error_that_is_always_zero_earns_nothing_and_is_noticed(host, solution, notes):
    verdict = host.grade(
        rewritten(host, solution, "wrong", "wrong", ERROR),
        rewritten(host, solution, "right", "right", ERROR),
    )
    assert verdict["wrong"]["score"] == 0.0
    assert verdict["right"]["score"] == MAX
    for submission in verdict.submissions.values():
        assert "Model.error" in notes(submission)["changed_outside_region"]


def test_rewritten_template_code_that_the_answer_needs_costs_its_exercise(host, solution, points):
    verdict = host.grade(rewritten(host, solution, "right", "right", INIT))
    assert points(verdict["right"]) == {"square": 2.0, "sigmoid": 3.0, "gradient": 0.0}


LATER = {
    "a method replaced": "Model.error = lambda self, w: 0.0\nModel.evaluate = lambda self: 1.0",
    "a class replaced": "class Model:\n    def __init__(self, x, y): pass\n"
    "    def cost(self, w): return 0.0\n    def grad(self, w): return 0 * w",
    "a name of the template deleted": "del model",
}


@pytest.mark.parametrize("later", LATER)
def test_what_a_later_cell_makes_of_it_counts_by_its_values(host, solution, points, later):
    wrong = host.hand_in("wrong", [*solution("wrong"), LATER[later]])
    right = host.hand_in("right", [*solution("right"), LATER[later]])
    verdict = host.grade(wrong, right)
    assert verdict["wrong"]["score"] == 0.0
    lost = {"gradient": 0.0} if later == "a class replaced" else {}
    assert points(verdict["right"]) == {"square": 2.0, "sigmoid": 3.0, "gradient": 3.0} | lost
