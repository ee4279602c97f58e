"""Assignment 1 of ECSE 552 through the whole command: what earns everything, and what must not."""

import nbformat

COURSE = "ecse552"
MLP, RINGS, NLL = (f"ecse552-a1-{question}.ipynb" for question in ("q1", "q2", "q3"))


def lost(course, name, regions, question):
    """What the solved notebook loses with these regions filled in anew."""
    path = course.written(name, course.filled(name, regions))
    return course.lost(course.grade(path), question)


def test_a_zip_of_solved_notebooks_earns_every_point(course):
    solved = {name: course.solved(name) for name in course.names}
    submission = course.grade(course.zipped("Curie_Marie.zip", solved))
    assert submission["students"] == ["Marie Curie"]
    assert course.lost(submission) == {}
    assert course.points(submission) == (100.0, 100.0, 0.0)
    assert submission["notes"] == []


def test_a_zip_of_the_bare_stubs_runs_and_scores_nothing(course):
    stubs = {name: course.bare(name) for name in course.names}
    submission = course.grade(course.zipped("Curie_Marie.zip", stubs))
    assert course.points(submission) == (0.0, 100.0, 0.0)
    assert {e["status"] for e in course.of_checks(submission)} == {"missing"}
    assert {n["kind"] for n in submission["notes"]} <= {"cell_error"}


def test_the_loss_without_one_half_loses_nothing(course):
    right = {
        "sse": "    loss = np.sum((y - y_hat) ** 2)",
        "backward": """
    delta3 = 2 * (y_hat - y) * y_hat * (1 - y_hat)
    grads["W3"], grads["b3"] = np.outer(h2, delta3), delta3
""",
    }
    assert lost(course, MLP, right, "q1") == {}


def test_a_lost_slope_costs_its_own_layer_and_is_named(course):
    wrong = {
        "backward": """
    delta3 = y_hat - y
    grads["W3"], grads["b3"] = np.outer(h2, delta3), delta3
"""
    }
    messages = lost(course, MLP, wrong, "q1")
    assert set(messages) == {"q1-output-gradients"}
    assert "in the output layer the slope sigma' is lost" in messages["q1-output-gradients"]


def test_a_circle_in_place_of_a_network_is_told_from_its_boundary(course):
    wrong = {"RingClassifier.predict": "        labels = (np.hypot(*X.T) > 2.5).astype(int)"}
    messages = lost(course, RINGS, wrong, "q2")
    assert set(messages) == {"q2-classifier", "q2-lines"}
    assert "bends where none of the lines passes" in messages["q2-lines"]


def test_a_likelihood_that_overflows_and_a_lost_inner_derivative_are_named(course):
    wrong = {
        "nll": "    value = -np.log(1 / (1 + np.exp(-(2 * y - 1) * z)))",
        "nll_prime": "    slope = sigmoid((2 * y - 1) * z) - 1",
    }
    messages = lost(course, NLL, wrong, "q3")
    assert set(messages) == {"q3-nll", "q3-nll-prime"}
    assert "not finite" in messages["q3-nll"]
    assert "the inner derivative is lost" in messages["q3-nll-prime"]


def test_a_students_copy_gives_the_verdicts_of_the_public_checks(course):
    copy = course.students_copy()
    wrong = course.filled(NLL, {"nll": "    value = np.logaddexp(0.0, -y * z)"})
    nbformat.write(wrong, copy / NLL)
    submission = course.grade_at_home(copy, NLL)
    checks = [check for exercise in submission["exercises"] for check in exercise["checks"]]
    assert checks and not any(check["hidden"] for check in checks)
    assert "the labels 0 and 1 are used as signs" in course.lost(submission)["q3-nll"]
