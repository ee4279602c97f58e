"""A course in nbgrader's source format: no edit from its notebook to the verified assignment."""

import pytest

pytestmark = pytest.mark.slow


def source(course):
    graded, text = course.graded, course.text
    return course.write(
        "source/ps1/vectors.ipynb",
        text("# Problem set 1: vectors\n\nFill in what is missing."),
        graded(
            "given", "imports", source="import numpy as np\nfrom nose.tools import assert_equal"
        ),
        text("## Lengths"),
        graded(
            "solution",
            "length",
            source='''def length(v):
    """Return the Euclidean length of a vector."""
    ### BEGIN SOLUTION
    return np.sqrt(np.sum(v**2))
    ### END SOLUTION''',
        ),
        graded(
            "tests",
            "test_length",
            3,
            source='''"""The length of some vectors."""
assert_equal(length(np.array([3.0, 4.0])), 5.0)
### BEGIN HIDDEN TESTS
assert abs(length(np.array([1.0, 2.0, 2.0])) - 3) < 1e-12
assert length(np.zeros(4)) == 0
### END HIDDEN TESTS''',
        ),
        text("## Angles"),
        graded(
            "solution",
            "cosine",
            source='''def cosine(v, w):
    """Return the cosine of the angle between two vectors."""
    ### BEGIN SOLUTION
    return v @ w / (length(v) * length(w))
    ### END SOLUTION''',
        ),
        graded(
            "tests",
            "test_cosine",
            2,
            source='''v, w = np.array([1.0, 2.0, -0.5]), np.array([0.3, -1.0, 4.0])
assert np.isclose(cosine(v, v), 1)
assert np.isclose(cosine(v, w), v @ w / np.linalg.norm(v) / np.linalg.norm(w)), "look at v @ w"''',
        ),
        graded(
            "answer",
            "why",
            4,
            words=True,
            source="Because the secret inequality of Cauchy and Schwarz holds.",
        ),
    )


@pytest.fixture
def imported(course):
    told = course.grade("new", "ps1", "--from", source(course))
    return course, told


def test_the_report_says_what_became_of_each_cell(imported):
    _, told = imported
    assert "vectors.ipynb, cell 3: a gap (`### BEGIN SOLUTION`)" in told
    assert (
        "cell 4: exercise test_length: tests that run unchanged, 3 points, 2 lines of it hidden"
        in told
    )
    assert "cell 8: exercise why: an answer in words, 4 points" in told
    assert "\n!" not in told
    assert "next: grade verify ps1" in told


def test_it_is_verified_and_handed_out_without_an_edit(imported):
    course, _ = imported
    assert "ps1  Problem set 1: vectors: holds" in course.grade("verify", "ps1", "--seeds", 2)
    course.grade("stubs", "ps1")
    shown, files = course.stub("ps1", "vectors.ipynb")
    assert "# YOUR CODE HERE" in shown
    assert "raise NotImplementedError" in shown
    assert "assert_equal(length(np.array([3.0, 4.0])), 5.0)" in shown
    everything = "\n".join(files.values())
    for secret in ("np.sqrt(np.sum", "np.zeros(4)", "HIDDEN", "Cauchy"):
        assert secret not in everything


def test_points_are_those_of_the_same_cells_before(imported):
    course, _ = imported
    right = course.solved("ps1", "vectors.ipynb")
    assert course.points(right) == {"test_length": 3, "test_cosine": 2}
    # As there, a cell of tests gives all of its points or none.
    wrong = course.solved("ps1", "vectors.ipynb", length=("np.sqrt(np.sum(v**2))", "5.0"))
    assert course.points(wrong) == {"test_length": 0, "test_cosine": 0}


def test_autotests_become_hidden_checks_of_the_solutions_values(course):
    written = course.write(
        "ps2.ipynb",
        course.graded(
            "solution",
            "double",
            source="def double(n):\n    ### BEGIN SOLUTION\n    return [n, 2 * n]"
            "\n    ### END SOLUTION",
        ),
        course.graded(
            "tests",
            "test_double",
            2,
            source="def throws(f, kind):\n    try:\n        f()\n    except kind:"
            "\n        return True\n    return False\n\n### AUTOTEST double(1); double(-2.5)"
            "\n### HASHED AUTOTEST double(7)\n### AUTOTEST for",
        ),
        course.graded(
            "solution",
            "twice",
            source="def twice(n):\n    ### BEGIN SOLUTION\n    return double(double(n)[1])"
            "\n    ### END SOLUTION",
        ),
        course.graded(
            "tests",
            "test_twice",
            1,
            source="kept = double\ndel double\n"
            "### AUTOTEST throws(lambda: twice(1), NameError)\ndouble = kept",
        ),
    )
    told = course.grade("new", "ps2", "--from", written)
    assert "cell 1: ### AUTOTEST: a hidden check compares the values with your solution's" in told
    assert "! ps2.ipynb, cell 1: `### AUTOTEST for` is not understood: write an assert" in told
    course.grade("stubs", "ps2")
    assert "autotest(" not in "\n".join(course.stub("ps2", "ps2.ipynb")[1].values())
    right = course.solved("ps2", "ps2.ipynb")
    assert course.points(right) == {"test_double": 2, "test_twice": 1}
    wrong = course.solved(
        "ps2",
        "ps2.ipynb",
        a=("return [n, 2 * n]", "return [n, abs(2 * n)]"),
        b=("double(double(n)[1])", "[2 * n, 4 * n]"),
    )
    assert course.points(wrong) == {"test_double": 0, "test_twice": 0}
