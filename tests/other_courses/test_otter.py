"""A course in otter assign's source format: no edit from notebook to verified assignment."""

import pytest

pytestmark = pytest.mark.slow


HIDDEN = '""" # BEGIN TEST CONFIG\nhidden: true\n""" # END TEST CONFIG\n'


def source(course):
    code, text, raw = course.code, course.text, course.raw
    return course.write(
        "lab03.ipynb",
        raw("# ASSIGNMENT CONFIG\ninit_cell: false\nexport_cell: true"),
        text("# Lab 3: tables of numbers"),
        code("import numpy as np"),
        text("## Rates\n\nDraw a table of the populations."),
        raw("# BEGIN QUESTION\nname: q1\npoints: 3"),
        raw("# BEGIN SOLUTION"),
        code(
            "populations = np.array([2.5, 4.0, 5.0, 8.0])\n"
            "growth = populations[1:] / populations[:-1] - 1 # SOLUTION\n"
            "fastest = int(np.argmax(growth)) # SOLUTION"
        ),
        raw("# END SOLUTION"),
        raw("# BEGIN TESTS"),
        code("growth.shape", ["(3,)"]),
        code("np.round(growth, 3).tolist()", ["[0.6, 0.25, 0.6]"]),
        code(
            '""" # BEGIN TEST CONFIG\nhidden: true\n""" # END TEST CONFIG\nfastest == 0', ["True"]
        ),
        raw("# END TESTS"),
        raw("# END QUESTION"),
        text("## Means"),
        raw("# BEGIN QUESTION\nname: q2\npoints: 2"),
        raw("# BEGIN SOLUTION"),
        code(
            'def weighted_mean(x, weights):\n    """Return the mean of x by weights."""\n'
            "    # BEGIN SOLUTION\n"
            "    total = np.sum(x * weights)\n    return total / np.sum(weights)\n"
            "    # END SOLUTION"
        ),
        raw("# END SOLUTION"),
        raw("# BEGIN TESTS"),
        code("# HIDDEN\nweighted_mean(np.array([1, 2, 4]), np.array([1, 0, 1]))", ["2.5"]),
        code("assert weighted_mean(np.array([3.0, 5.0]), np.array([3.0, 1.0])) == 3.5"),
        raw("# END TESTS"),
        raw("# END QUESTION"),
        raw("# BEGIN QUESTION\nname: q3\nmanual: true\npoints: 4"),
        text("Which of the two rates is to be trusted?"),
        raw("# BEGIN SOLUTION"),
        text("The secret is in the sizes."),
        raw("# END SOLUTION"),
        raw("# END QUESTION"),
    )


@pytest.fixture
def imported(course):
    return course, course.grade("new", "lab03", "--from", source(course))


def test_the_report_says_what_became_of_each_cell(imported):
    _, told = imported
    assert "lab03.ipynb, cell 6: a gap (`# SOLUTION`)" in told
    assert "cell 9: a test of q1 that runs unchanged, 1 points" in told
    assert "cell 11: a hidden test of q1 that runs unchanged, 1 points" in told
    assert "exercise q3: graded by a person, 4 points" in told
    assert "\n!" not in told


def test_it_is_verified_and_handed_out_without_an_edit(imported):
    course, _ = imported
    assert "lab03  Lab 3: tables of numbers: holds" in course.grade("verify", "lab03", "--seeds", 2)
    course.grade("stubs", "lab03")
    shown, files = course.stub("lab03", "lab03.ipynb")
    assert "growth = ...\nfastest = ..." in shown
    assert "Which of the two rates" in shown
    everything = "\n".join(files.values())
    for secret in ("populations[1:]", "argmax", "secret", "# BEGIN", "fastest == 0"):
        assert secret not in everything


def test_points_are_shared_out_over_the_tests_as_before(imported):
    course, _ = imported
    assert course.points(course.solved("lab03", "lab03.ipynb")) == {"q1": 3, "q2": 2}
    wrong = course.solved(
        "lab03", "lab03.ipynb", fastest=("int(np.argmax(growth))", "1"), mean=("total / ", "2 * ")
    )
    assert course.points(wrong) == {"q1": 2, "q2": 0}
