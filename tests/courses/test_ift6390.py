"""IFT6390, homework 3, through the whole command: what must earn everything, and what must not."""

import nbformat

COURSE = "ift6390"
FUNCTIONS, GRADIENTS, NETWORK = (f"ift6390-hw3-q{n}.ipynb" for n in (1, 2, 3))


def test_a_zip_of_solved_notebooks_earns_every_point(course):
    solved = {name: course.solved(name) for name in course.names}
    submission = course.grade(course.zipped("Curie_Marie- Noether_Emmy.zip", solved))
    assert course.lost(submission) == {}
    assert course.points(submission) == (100.0, 100.0, 0.0)
    assert submission["notes"] == []


def test_a_zip_of_the_bare_stubs_runs_and_scores_nothing(course):
    stubs = {name: course.bare(name) for name in course.names}
    submission = course.grade(course.zipped("Curie_Marie.zip", stubs))
    assert course.points(submission) == (0.0, 100.0, 0.0)
    assert {e["status"] for e in course.of_checks(submission)} == {"missing"}
    assert submission["notes"] == []


def test_mistakes_in_single_derivatives_lose_exactly_their_exercises_and_are_told_why(course):
    functions = course.filled(
        FUNCTIONS,
        {
            "log_sigmoid": "e = np.exp(-np.asarray(x, dtype=float))\nvalue = -e / e.sum()",
            "sign": "value = np.sign(x)",
        },
    )
    gradients = course.filled(
        GRADIENTS,
        {
            "grad_W2": "d_W2 = np.outer(hs, d_oa)",
            "grad_b1": "d_b1 = np.ones(len(d_ha))",
            "grad_elastic": "d_W = l1 * np.sign(W) + l2 * W",
        },
    )
    archive = course.zipped("a_b.zip", {FUNCTIONS: functions, GRADIENTS: gradients})
    messages = course.lost(course.grade(archive), "q1", "q2")
    words = {
        "q1-log-sigmoid": "softmax is taken for softplus",
        "q1-sign": "`np.sign` is not allowed here",
        "q2-grad-W2": "Is it transposed",
        "q2-grad-b1": "it is taken as 1",
        "q2-grad-elastic": "the L2 term is half as large",
    }
    assert set(messages) == set(words)
    for exercise, message in messages.items():
        assert words[exercise] in message


def test_a_gradient_summed_over_the_minibatch_is_told_from_a_mean(course):
    wrong = course.filled(
        NETWORK,
        {
            "NeuralNet.bprop_loop": """
        gradients = [self.bprop(X[i : i + 1], y[i : i + 1]) for i in range(len(X))]
        grad_W1, grad_b1, grad_W2, grad_b2 = [sum(g) for g in zip(*gradients)]
"""
        },
    )
    submission = course.grade(course.written(NETWORK, wrong))
    messages = course.lost(submission, "q3")
    assert set(messages) == {"q3-bprop-loop"}
    assert "10 times too large" in messages["q3-bprop-loop"]
    assert "1/K" in messages["q3-bprop-loop"]
    assert submission["score"] == 46.0  # one example is right: 2 of 6


def test_a_students_copy_gives_the_same_verdicts_without_a_reference(course):
    copy = course.students_copy()
    transposed = course.filled(GRADIENTS, {"grad_W2": "d_W2 = np.outer(hs, d_oa)"})
    nbformat.write(transposed, copy / GRADIENTS)
    at_home = course.without_times(course.grade_at_home(copy, GRADIENTS))
    at_school = course.without_times(course.grade(copy / GRADIENTS, "--public"))
    assert set(course.lost(at_home, "q2")) == {"q2-grad-W2"}
    assert "Is it transposed" in course.lost(at_home)["q2-grad-W2"]
    assert not any(c["hidden"] for e in at_school["exercises"] for c in e["checks"])
    course.assert_same_at_home(at_home, at_school)
