"""Known mistakes in products of matrices, with angles and spectra, on grids, and in steps."""

import numpy as np
import pytest

from grader.diagnosis.catalogue import SEEN, is_vague, words_for_student
from grader.verify.known_changes import known_changes

from .test_known_changes import words_of

PREDICT = "def predict(P, A, Q):\n    return A @ P @ A.T + Q\n"
RNG = np.random.default_rng(5)
P, A, Q = RNG.normal(size=(3, 3, 3))
U = RNG.normal(size=7)


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (A @ P + Q, "without the factor `A.T` of a matrix product"),
        (P @ A.T + Q, "without the factor `A` of a matrix product"),
        (A @ A.T + Q, "without the factor `P` of a matrix product"),
        (A.T @ P @ A + Q, "with `A.T` on the left of a product and `A` on its right"),
        (A @ (P + Q) @ A.T, "with `Q` added before a product, not after it"),
    ],
)
def test_mistakes_in_a_product_of_three_matrices_are_known(wanted, told):
    assert told in words_of(PREDICT, wanted, P, A, Q)


def test_a_product_in_the_other_order_has_words_of_its_own():
    source = "def f(A, P):\n    return (np.eye(3) - A) @ P\n"
    told = words_of(source, P @ (np.eye(3) - A), A, P)
    assert any("product of matrices the other way round" in text for text in told)
    assert "with a quotient the other way round" in words_of(
        "def g(u, r):\n    return u / r\n", 2.0 / U, U, np.float64(2.0)
    )


def test_a_quotient_of_a_product_is_not_called_a_product():
    text = "`A @ x / n` -> `n / (A @ x)`"
    assert words_for_student("swapped operands", text, ()) == "with a quotient the other way round"


@pytest.mark.parametrize(
    "way", ["np.deg2rad(a)", "np.radians(a)", "a * np.pi / 180", "np.pi / 180 * a"]
)
def test_degrees_taken_for_radians_are_known(way):
    source = f"def east(a, d):\n    return d * np.sin({way})\n"
    told = words_of(source, 2.5 * np.sin(131.0), np.float64(131.0), np.float64(2.5))
    assert "with an angle in degrees where radians belong" in told


def test_a_correlation_for_a_convolution_is_known():
    source = "def f(x, k):\n    return np.fft.ifft(np.fft.fft(x) * np.fft.fft(k)).real\n"
    x, k = RNG.normal(size=(2, 6))
    wanted = np.fft.ifft(np.fft.fft(x) * np.conj(np.fft.fft(k))).real
    assert any("correlation where a convolution" in told for told in words_of(source, wanted, x, k))


def test_a_transform_the_wrong_way_is_known():
    source = "def f(x):\n    return np.fft.ifft(x).real\n"
    wanted = np.fft.fft(U).real
    assert "with the forward Fourier transform where the inverse one belongs" in words_of(
        source, wanted, U
    )


def test_the_real_part_of_a_spectrum_for_its_size_is_known():
    source = "def f(x):\n    X = np.fft.fft(x)\n    return np.abs(X) / len(x)\n"
    told = words_of(source, np.fft.fft(U).real / 7, U)
    assert "with the real part where the absolute value belongs" in told


def test_the_size_of_a_real_number_has_no_real_part_for_it():
    changes = known_changes("def f(x):\n    return np.abs(x)\n")
    assert "one part" not in {change.kind for change in changes}


def test_neighbours_that_are_already_new_are_known():
    source = (
        "def heat(u, r):\n"
        "    v = u.copy()\n"
        "    v[1:-1] = u[1:-1] + r * (u[:-2] - 2 * u[1:-1] + u[2:])\n"
        "    return v\n"
    )
    wanted = U.copy()
    for i in range(1, 6):
        wanted[i] += 0.3 * (wanted[i - 1] - 2 * wanted[i] + wanted[i + 1])
    told = words_of(source, wanted, U, np.float64(0.3))
    assert "with elements that are already new where the old ones belong" in told


def test_neighbours_in_the_plane_that_are_already_new_are_known():
    source = (
        "def relax(u):\n"
        "    u = u.copy()\n"
        "    u[1:-1, 1:-1] = (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:]) / 4\n"
        "    return u\n"
    )
    grid = RNG.normal(size=(4, 5))
    wanted = grid.copy()
    for i in range(1, 3):
        for j in range(1, 4):
            wanted[i, j] = (
                wanted[i - 1, j] + wanted[i + 1, j] + wanted[i, j - 1] + wanted[i, j + 1]
            ) / 4
    told = words_of(source, wanted, grid)
    assert "with elements that are already new where the old ones belong" in told


def test_values_that_are_added_at_two_places_and_never_are_known():
    source = (
        "def ends(b, left, right):\n    b = b.copy()\n    b[0] += left\n    b[-1] += right\n"
        "    return b\n"
    )
    told = words_of(source, U, U, np.float64(0.3), np.float64(0.7))
    assert "without the steps that add `left` and `right`" in told


FILTER = """\
def run(x, p, Z):
    states = []
    for z in Z:
        x, p = predict(x, p)
        x, p = update(x, p, z)
        states.append(x)
    return np.array(states)
"""


def predict(x, p):
    return 1.1 * x, p + 0.2


def update(x, p, z):
    return x + p / (p + 0.5) * (z - x), p * 0.5 / (p + 0.5)


def states(steps):
    x, p, kept = 0.3, 1.7, []
    for z in U:
        x, p = steps(x, p, z, kept)
    return np.array(kept)


def never_predicts(x, p, z, kept):
    x, p = update(x, p, z)
    kept.append(x)
    return x, p


def updates_first(x, p, z, kept):
    x, p = predict(*update(x, p, z))
    kept.append(x)
    return x, p


def keeps_the_prediction(x, p, z, kept):
    x, p = predict(x, p)
    kept.append(x)
    return update(x, p, z)


def keeps_the_covariance(x, p, z, kept):
    x, p = predict(x, p)
    x, _ = update(x, p, z)
    kept.append(x)
    return x, p


def told_of(wanted, functions):
    """The words of the changes of FILTER that give these states."""
    told = set()
    for change in known_changes(FILTER, functions=functions):
        if change.kind not in ("lost step", "old value", "order of statements"):
            continue  # others may never end: a loop over the list that it fills
        space = {"np": np, "predict": predict, "update": update}
        exec(change.source, space)
        try:
            with np.errstate(all="ignore"):
                value = space["run"](np.float64(0.3), np.float64(1.7), U)
        except Exception:
            continue
        if np.shape(value) == wanted.shape and np.allclose(value, wanted, rtol=1e-12):
            told.add(change.phrase)
    return told


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        (never_predicts, "without the step that calls `predict`"),
        (updates_first, "with the step that calls `update` before the one that calls `predict`"),
        (keeps_the_prediction, "with a value kept before the step that calls `update`"),
        (keeps_the_covariance, "with an old `p`: a step does not renew it"),
    ],
)
def test_mistakes_in_steps_that_set_several_values_are_known(steps, words):
    told = told_of(states(steps), {"predict": 2, "update": 3})
    assert any(words in text for text in told)


def test_a_function_that_only_the_solution_calls_is_not_named():
    told = told_of(states(never_predicts), {})
    assert "without one of its steps" in told and is_vague("without one of its steps")
    assert not any("`predict`" in text for text in told)


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        ("dropped power", "dropped `** 2` in `noise ** 2`", "without the square of `noise`"),
        ("dropped power", "dropped `** 2` in `secret ** 2`", "without one power"),
        ("dropped factor", "dropped `2 *` in `2 * u[1:-1]`", "without the factor 2"),
        ("lost divisor", "dropped `/ 6` in `h / 6`", "without the division by 6"),
        ("dropped term", "dropped `- 1` in `2 * k - 1`", "without the 1 that is subtracted"),
        ("dropped term", "dropped `+ 1e-08` in `s + 1e-08`",
         "without the small number that is added"),
    ],
)  # fmt: skip
def test_a_number_or_a_square_that_is_left_out_is_told(kind, text, words):
    assert words_for_student(kind, text, {"noise", "u"}) == words


def test_a_difference_with_1_is_not_called_a_quotient():
    told = words_of("def p(k):\n    return 2 * k - 1\n", 2 * U, U)
    assert told and not any("quotient" in text for text in told)


def test_ones_in_the_place_of_an_identity_matrix_are_told_so():
    told = words_of("def f(A):\n    return np.eye(3) - A\n", np.ones(3) - A, A)
    assert "with `ones` where an identity matrix belongs" in told


def test_the_mean_of_roots_for_the_root_of_the_mean_is_told():
    told = words_of("def f(x):\n    return np.sqrt(np.mean(x))\n", np.mean(np.sqrt(U**2)), U**2)
    assert "with `sqrt` taken before `mean`, not after it" in told


def test_every_kind_of_these_says_where_it_was_seen():
    for source in (PREDICT, FILTER):
        for change in known_changes(source, functions={"predict": 2, "update": 3}):
            assert change.phrase, change
            assert change.kind in SEEN or words_for_student(change.kind, change.text, ()), change


DESCENT = """
def descend(w, a, rate, n):
    for _ in range(n):
        slope = 2 * a * w
        w = w - rate * slope
    return w, np.sum(a * w**2)
"""


def test_a_loss_from_before_the_last_step_is_known():
    w, a = RNG.normal(size=(2, 4))
    last = w * (1 - 0.2 * a) ** 3
    source = DESCENT.replace("return w, ", "return ")
    wanted = np.sum(a * (w * (1 - 0.2 * a) ** 2) ** 2)
    told = words_of(source, wanted, w, a, 0.1, 3)
    assert "with `w` from before the last step of a loop, where the last one belongs" in told
    assert not any(
        "last step" in one for one in words_of(source, np.sum(a * last**2), w, a, 0.1, 3)
    )


def test_the_last_value_itself_is_returned_beside_a_loss_from_before_it():
    changed = [one.source for one in known_changes(DESCENT) if one.kind == "stale result"]
    assert len(changed) == 1
    assert "return w, " in changed[0]


def test_a_value_that_is_set_again_after_the_loop_is_not_stale():
    source = DESCENT.replace("    return", "    w = w / 2\n    return")
    assert not [one for one in known_changes(source) if one.kind == "stale result"]


def test_a_number_and_another_factor_left_out_are_known():
    source = "def ridge(A, n, c):\n    return A + 2 * n * c * np.eye(3)\n"
    told = words_of(source, A + 0.7 * np.eye(3), A, np.float64(5.0), np.float64(0.7))
    assert "without the factor 2 and `n` of a product" in told


def test_a_step_and_a_cost_that_both_sum_are_known():
    source = """
def fit(X, y, w):
    w = w - 0.1 * X.T @ (X @ w - y) / len(y)
    return np.append(w, np.mean((X @ w - y) ** 2))
"""
    X, y, w = RNG.normal(size=(5, 3)), RNG.normal(size=5), RNG.normal(size=3)
    new = w - 0.1 * X.T @ (X @ w - y)
    wanted = np.append(new, np.sum((X @ new - y) ** 2))
    assert "with sums in all places where means belong" in words_of(source, wanted, X, y, w)
