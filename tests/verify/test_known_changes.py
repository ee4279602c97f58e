"""What is known of wrong solutions: each mistake of the field is among a function's changes."""

import ast
import textwrap
import warnings

import numpy as np
import pytest

from grader.diagnosis.catalogue import SEEN, is_vague, words_for_student
from grader.verify.known_changes import known_changes, statement_keys

SOFTMAX = """
def softmax(z):
    e = np.exp(z - z.max())
    s = e / e.sum()
    return s
"""
STEP = """
def step(w, grad, lr=0.1):
    return w - lr * grad
"""
HIDDEN = """
def hidden(d, a):
    return d * (a > 0)
"""
ADAM = """
def adam(m, v, t, beta1, beta2, eps):
    m_hat = m / (1 - beta1**t)
    v_hat = v / (1 - beta2**t)
    return m_hat / (np.sqrt(v_hat) + eps)
"""


def answers(source, *arguments):
    """What each known change of the function gives: words -> values."""
    found = {}
    for change in known_changes(textwrap.dedent(source)):
        space = {"np": np}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # (1)[0], say: a mistake may look odd
            exec(change.source, space)
        name = next(n for n in space if n not in ("np", "__builtins__"))
        try:
            with np.errstate(all="ignore"):
                value = space[name](*(np.copy(a) for a in arguments))
        except Exception:
            continue
        found.setdefault(change.phrase, []).append(value)
    return found


def words_of(source, wanted, *arguments):
    """The words of all changes that give the wanted value."""
    return {
        told
        for told, values in answers(source, *arguments).items()
        for value in values
        if value is not None
        and np.shape(value) == np.shape(wanted)
        and np.allclose(value, wanted, rtol=1e-12)
    }


Z = np.array([0.3, -1.2, 2.0, 0.7])
SOFT = np.exp(Z) / np.exp(Z).sum()


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (1 / (1 + np.exp(-Z)), "sigmoid for softmax"),
        (np.exp(SOFT) / np.exp(SOFT).sum(), "applied twice"),
        ((Z.max() <= Z) * 1.0, "predicted class"),
        (SOFT * 4, "divided by the mean"),
        (np.exp(Z - Z.max()), "not divided by their sum"),
        (np.exp(-Z) / np.exp(-Z).sum(), "sign"),
    ],
)
def test_the_mistakes_of_a_softmax_are_known(wanted, words):
    assert any(words in told for told in words_of(SOFTMAX, wanted, Z))


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (1.0 - 0.2, "without `lr`"),
        (1.0 - 0.01 * 0.2, "`lr` squared"),
        (1.0 - 0.05 * 0.2, "half of `lr`"),
    ],
)
def test_a_learning_rate_is_lost_squared_or_halved(wanted, words):
    told = words_of(STEP, wanted, np.float64(1.0), np.float64(0.2), np.float64(0.1))
    assert any(words in text for text in told)


def test_a_default_that_is_taken_whatever_is_given_is_known():
    told = words_of(STEP, 1.0 - 0.1 * 0.2, np.float64(1.0), np.float64(0.2), np.float64(0.7))
    assert "with the default of `lr`, whatever is given" in told


@pytest.mark.parametrize(
    ("slope", "words"),
    [
        (lambda a: np.maximum(a, 0), "value of relu"),
        (np.sign, "sign"),
        (lambda a: np.where(a > 0, 1.0, 0.01), "leaky"),
    ],
)
def test_wrong_slopes_of_relu_are_known(slope, words):
    d, a = np.array([0.4, -0.2, 1.1]), np.array([1.5, -0.3, 0.2])
    assert any(words in told for told in words_of(HIDDEN, d * slope(a), d, a))


@pytest.mark.parametrize("square", ["t**2", "t * t", "np.square(t)"])
def test_the_slope_of_sigmoid_for_that_of_tanh_is_known(square):
    source = f"def slope(x):\n    t = np.tanh(x)\n    return 1 - {square}\n"
    t = np.tanh(x := np.array([-0.7, 0.3, 1.9]))
    assert words_of(source, t * (1 - t), x) == {"with the slope of sigmoid for that of tanh"}


def test_a_square_taken_from_1_that_is_no_slope_of_tanh_is_not_called_one():
    source = "def rest(r):\n    return 1 - r**2\n"
    r = np.array([-0.7, 0.3, 0.9])
    assert not any("tanh" in told for told in words_of(source, r * (1 - r), r))


def test_adam_without_the_power_in_its_correction_is_known():
    m, v, t, b1, b2, eps = np.array([0.2]), np.array([0.5]), np.float64(3), 0.9, 0.99, 1e-8
    wanted = m / (1 - b1) / (np.sqrt(v / (1 - b2**3)) + eps)
    told = words_of(ADAM, wanted, m, v, t, np.float64(b1), np.float64(b2), np.float64(eps))
    assert "with a correction that stays the same in every step" in told


def test_adam_with_the_small_number_inside_the_root_is_known():
    m, v, t, b1, b2, eps = np.array([0.2]), np.array([0.5]), np.float64(3), 0.9, 0.99, 0.1
    wanted = m / (1 - b1**3) / np.sqrt(v / (1 - b2**3) + eps)
    told = words_of(ADAM, wanted, m, v, t, np.float64(b1), np.float64(b2), np.float64(eps))
    assert "with the small number inside the root" in told


def test_the_class_off_by_one_and_a_label_taken_as_a_number_are_known():
    source = "def delta(s, y):\n    return s - np.eye(len(s))[y]\n"
    s = np.array([0.2, 0.5, 0.3])
    assert any("off by one" in t for t in words_of(source, s - np.eye(3)[0], s, np.int64(1)))
    assert any("number of the class" in t for t in words_of(source, s - 1, s, np.int64(1)))


def test_a_length_by_another_measure_is_known():
    source = "def unit(v):\n    return v / np.linalg.norm(v)\n"
    v = np.array([0.4, -1.3, 0.2])
    assert any("largest size" in told for told in words_of(source, v / 1.3, v))
    assert any("sum of sizes" in told for told in words_of(source, v / np.abs(v).sum(), v))


def test_a_product_where_a_system_is_to_be_solved_is_known():
    source = "def newton(w, g, H):\n    return w - np.linalg.solve(H, g)\n"
    w, g, H = np.array([1.0, 2.0]), np.array([0.3, 0.7]), np.array([[2.0, 0.5], [0.5, 3.0]])
    assert any("product" in told for told in words_of(source, w - H @ g, w, g, H))
    assert any("diagonal" in told for told in words_of(source, w - g / np.diag(H), w, g, H))


def test_a_division_that_is_not_rounded_down_is_known():
    source = "def rate(lr, epoch):\n    return lr * 0.5 ** (epoch // 3)\n"
    told = words_of(source, 0.8 * 0.5 ** (4 / 3), np.float64(0.8), np.int64(4))
    assert "with a division that is not rounded down" in told


def test_two_results_in_the_place_of_each_other_are_known():
    source = "def split(x):\n    low = x - 1\n    high = x * 3\n    return low, high\n"
    x = np.array([0.5, 2.0])
    swapped = [c for c in known_changes(source) if c.kind == "results swapped"]
    space = {"np": np}
    exec(swapped[0].source, space)
    low, high = space["split"](x)
    assert (low == x * 3).all() and (high == x - 1).all()


def test_rows_taken_for_columns_are_known():
    source = "def centre(X):\n    Z = X - X.mean(axis=0)\n    return Z\n"
    X = np.array([[1.0, 4.0], [2.0, 8.0], [0.5, 3.0]])
    told = words_of(source, X - X.mean(axis=1, keepdims=True), X)
    assert "with the rows of `X` for its columns" in told


def test_a_penalty_on_the_biases_is_known():
    source = (
        "def step(w, b, g, h, lr, decay):\n    w = w - lr * (g + decay * w)\n"
        "    b = b - lr * h\n    return w + b\n"
    )
    w, b, g, h, lr, decay = map(np.float64, (1.1, 0.7, 0.3, 0.4, 0.1, 0.2))
    wanted = w - lr * (g + decay * w) + b - lr * (h + decay * b)
    assert "with the penalty on `b`, too" in words_of(source, wanted, w, b, g, h, lr, decay)


def test_swapped_parameters_are_named_since_students_see_them():
    source = "def error(y, y_pred):\n    return y * np.log(y_pred)\n"
    y, p = np.array([0.3, 0.9]), np.array([0.5, 0.2])
    assert "with `y` and `y_pred` swapped" in words_of(source, p * np.log(y), y, p)


def test_a_change_of_a_naive_form_is_known_although_the_solution_is_stable():
    source = "def sigmoid(z):\n    return np.exp(-np.logaddexp(0.0, -z))\n"
    z = np.array([0.4, 2.0])
    assert words_of(source, 1 / (1 - np.exp(-z)), z)


def test_the_square_of_a_sum_is_the_sum_of_squares_in_the_other_order():
    source = "def sse(a, b):\n    return np.sum((a - b) ** 2)\n"
    a, b = np.array([1.0, 2.0, 4.0]), np.array([0.5, 3.0, 3.0])
    told = words_of(source, np.sum(a - b) ** 2, a, b)
    assert "with a power taken of the whole, not of each" in told


def test_names_that_only_the_solution_has_are_not_told():
    source = "def f(x):\n    secret = 2 * x\n    other = x + 1\n    return secret * other\n"
    for change in known_changes(source):
        assert "secret" not in change.phrase and "other" not in change.phrase.replace("another", "")


def test_every_change_compiles_and_stands_once():
    changes = known_changes(SOFTMAX.strip() + "\n")
    trees = [ast.dump(ast.parse(change.source)) for change in changes]
    assert len(trees) == len(set(trees)) > 100


def test_lines_outside_the_gap_stay_as_they_are():
    source = "def f(x):\n    y = x + 1\n    z = y * 2\n    return z - 3\n"
    for change in known_changes(source, lines={3}):
        # A parameter may be changed before the template's first line.
        assert change.source.rstrip().endswith("return z - 3")


@pytest.mark.parametrize("source", [SOFTMAX, STEP, HIDDEN, ADAM])
def test_every_kind_has_words_and_says_where_it_was_seen(source):
    for change in known_changes(source.strip() + "\n"):
        assert change.phrase, change
        assert change.kind in SEEN or words_for_student(change.kind, change.text, ()), change.kind


def test_words_that_say_little_are_told_from_those_that_name_something():
    assert is_vague("with one value in the place of another")
    assert not is_vague("with `lr` squared")


def test_a_lost_division_by_the_number_of_examples_is_called_the_mean():
    told = words_for_student("lost divisor", "dropped `/ x.shape[0]` in `(p - y) / x.shape[0]`", ())
    assert "without the mean" in told
    told = words_for_student("dropped factor", "dropped `* len(x)` in `step * len(x)`", ())
    assert told == "without one factor, a number of examples or elements"


def test_a_zero_that_becomes_one_is_not_called_twice_a_constant():
    change = words_for_student("wrong constant", "`0.0` -> `1.0` in `np.maximum(0.0, x)`", ())
    assert change == "with a 1 where a 0 belongs"
    change = words_for_student("wrong constant", "`0.5` -> `1.0` in `0.5 * x`", ())
    assert change == "with twice one constant"


def test_a_label_that_is_never_marked_is_known():
    source = "def delta(s, y):\n    d = s.copy()\n    d[y] -= 1.0\n    return d\n"
    s = np.array([0.2, 0.5, 0.3])
    assert any("one-hot" in told for told in words_of(source, s, s, np.int64(1)))
    assert any("off by one" in t for t in words_of(source, s - np.eye(3)[0], s, np.int64(1)))


def test_of_a_chain_of_calls_the_one_that_differs_is_named():
    text = "`x.reshape(2, 3).max(axis=0)` -> `x.reshape(2, 3).min(axis=0)`"
    assert (
        words_for_student("wrong function", text, ()) == "with `min` where another function belongs"
    )


def test_an_average_in_the_place_of_a_velocity_is_known():
    source = "def velocity(v, g, lr, mu):\n    return mu * v - lr * g\n"
    v, g, lr, mu = map(np.float64, (1.1, 0.7, 0.3, 0.8))
    told = words_of(source, mu * v - (1 - mu) * lr * g, v, g, lr, mu)
    assert "with `1 - mu` as a factor of the other term" in told


def test_a_rate_on_one_of_two_terms_is_known():
    source = "def step(w, g, lr, decay):\n    return w - lr * (g + decay * w)\n"
    w, g, lr, decay = map(np.float64, (1.1, 0.7, 0.3, 0.2))
    told = words_of(source, w - (lr * g + decay * w), w, g, lr, decay)
    assert "with `lr` on one of two terms alone" in told


def test_a_sum_in_the_place_of_a_decaying_average_is_known():
    source = "def average(s, g, rho):\n    s_new = rho * s + (1 - rho) * g**2\n    return s_new\n"
    s, g, rho = map(np.float64, (1.1, 0.7, 0.8))
    assert "with a plain sum, without `rho`" in words_of(source, s + g**2, s, g, rho)


def test_a_stride_that_is_forgotten_in_one_step_is_known():
    source = (
        "def window(x, i, j, stride):\n    n = len(x) // stride\n"
        "    part = x[i * stride, j * stride] + n\n    return part\n"
    )
    x = np.arange(36.0).reshape(6, 6)
    told = words_of(source, x[1, 2] + 3, x, np.int64(1), np.int64(2), np.int64(2))
    assert "without `stride` in one step" in told


def test_one_case_for_all_is_known():
    source = "def clip(g, limit):\n    return g * limit if abs(g) > limit else 1.0 * g\n"
    told = words_of(source, 0.2 * 0.5, np.float64(0.2), np.float64(0.5))
    assert "with one of two cases for all" in told


MEAN = """
def middle(a, b, n):
    value = (a - b) / n
    return value
"""
MOMENTUM = """
def move(w, g, v, lr, mu):
    v_new = mu * v - lr * g
    w_new = w + v_new
    return w_new
"""


def test_a_division_without_its_parentheses_is_known():
    told = words_of(MEAN, 5.0 - 3.0 / 4.0, 5.0, 3.0, 4.0)
    assert "with a division of one term alone: parentheses are missing" in told


def test_a_name_of_pythons_own_is_no_value_that_suffers_a_mistake():
    plain = "def f(z):\n    x = np.asarray(z, dtype=float)\n    return x + 1\n"
    assert not [c.text for c in known_changes(plain) if "`float` taken" in c.text]
    own = "def f(z):\n    max = z * 2\n    return max + 1\n"
    assert [c.text for c in known_changes(own) if "`max` taken" in c.text]


def test_another_activation_for_a_sigmoid_is_known():
    layer = "def layer(x, sigmoid):\n    return sigmoid(x)\n"
    softmax = np.exp(Z) / np.exp(Z).sum()
    given = {"np": np, "x": Z, "sigmoid": lambda z: 1 / (1 + np.exp(-z))}
    told = {
        change.phrase: eval(change.source.partition("return ")[2], given)
        for change in known_changes(layer)
        if change.kind == "another activation"
    }
    assert np.allclose(told["with a softmax for a sigmoid"], softmax)
    assert np.allclose(told["with tanh for a sigmoid"], np.tanh(Z))
    assert np.allclose(told["with relu for a sigmoid"], np.maximum(Z, 0))


def test_a_function_of_each_term_where_their_difference_belongs_is_known():
    a, b = np.array([3.0, 4.0]), np.array([0.6, 0.8])
    distance = "def distance(a, b):\n    return np.linalg.norm(a - b)\n"
    told = "with `norm` taken of each term, not of their difference"
    assert told in words_of(distance, 4.0, a, b)
    assert told in words_of(distance, 4.0, b, a)  # without its sign
    squares = "def squares(a, b):\n    return np.sum((a - b) ** 2)\n"
    told = "with a power taken of each term, not of their difference"
    assert told in words_of(squares, 24.0, a, b)


def test_a_mistake_that_is_made_at_every_place_is_known():
    m, v, t, b1, b2, eps = np.array([0.3, -0.7]), np.array([0.2, 0.5]), 3, 0.9, 0.99, 1e-3
    wanted = m / (1 + b1**t) / (np.sqrt(v / (1 + b2**t)) + eps)
    assert "with 1 + ... where 1 - ... belongs, everywhere" in words_of(
        ADAM, wanted, m, v, t, b1, b2, eps
    )
    without = m / (np.sqrt(v) + eps)
    assert "with one factor of the form 1 - ... left out" in words_of(
        ADAM, without, m, v, t, b1, b2, eps
    )


def test_the_other_convention_of_momentum_is_known():
    w, g, v = np.array([[0.3, -0.7], [0.1, 0.4], [0.2, 0.9]])
    told = words_of(MOMENTUM, w - 0.1 * (0.9 * v + g), w, g, v, 0.1, 0.9)
    assert any("on the whole velocity" in words for words in told)


def test_steps_in_the_other_order_are_known():
    source = """
def step(self):
    self.v = self.mu * self.v - self.g
    self.w = self.w + self.v
    return self.w
"""
    changes = [c for c in known_changes(source) if c.kind == "order of statements"]
    assert [c.phrase for c in changes] == ["with `self.w` set before `self.v`"]
    body = ast.parse(changes[0].source).body[0].body
    assert [ast.unparse(s.targets[0]) for s in body[:2]] == ["self.w", "self.v"]


def test_steps_whose_order_is_free_are_not_exchanged():
    source = "def f(x):\n    a = x + 1\n    b = x + 2\n    return a * b\n"
    assert not [c for c in known_changes(source) if c.kind == "order of statements"]


def test_a_copied_line_is_known():
    source = "def f(x, y):\n    a = x.mean() + 1\n    b = y.mean() + 1\n    return a * b\n"
    x, y = np.array([1.0, 2.5]), np.array([0.5, 7.0])
    assert any("copied line" in told for told in words_of(source, 2.75**2, x, y))


def test_a_sum_whose_bare_terms_are_taken_as_one_is_known():
    source = "def n(d, h, m):\n    n = d * h + h + h * m + m\n    return n\n"
    told = words_of(source, 3 * 4 + 1 + 4 * 5 + 1, 3, 4, 5)
    assert "with 1 in the place of the terms `h` and `m`" in told


def test_the_sign_of_argument_and_result_is_known():
    source = "def softplus(z):\n    value = np.logaddexp(0, z)\n    return value\n"
    z = np.array([0.3, -1.2])
    told = words_of(source, -np.logaddexp(0, -z), z)
    assert any("the signs of `z` and of its result reversed" in words for words in told)


A22 = np.array([[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize(
    ("source", "wanted", "words"),
    [
        ("np.diag(A) * 2", [6.0, 14.0], "sums of rows"),
        ("np.logaddexp(0, A[0])", [2.0, 3.0], "a hinge loss"),
        ("A * 0.5 ** A", [[0.5, 0.0], [-1.5, -4.0]], "linear decay"),
        ("np.argsort(A, axis=1)[:, 0]", [1, 1], "the largest for the smallest"),
        ("(A[0] + A[1]) / 2", [1.0, 2.0], "the first of two values"),
        ("A / np.sum(A)", A22 / 2, "number of elements where their sum belongs"),
        ("np.sqrt((A ** 2).sum(axis=1))", [3.0, 7.0], "sum of sizes"),
        ("A @ A", A22 @ A22 + A22, "added to"),
        ("np.abs(A - 2) + np.abs(-A)", A22 - 2 - A22, "signs where absolute values"),
        ("A - A.mean(axis=1) + A.std(axis=1)", A22 - A22.mean(0) + A22.std(0), "everywhere"),
    ],
)
def test_related_formulas_are_known(source, wanted, words):
    told = words_of(f"def f(A):\n    value = {source}\n    return value\n", np.array(wanted), A22)
    assert any(words in one for one in told)


def test_a_part_of_a_series_where_all_of_it_belongs_is_known():
    source = """
def f(x):
    d = x - x.mean()
    r = np.sum(d[:-1] * d[1:]) / np.sum(d * d)
    return r
"""
    x = np.array([0.3, -1.2, 2.0, 0.7])
    d = x - x.mean()
    told = words_of(source, np.sum(d[:-1] * d[1:]) / np.sum(d[:-1] ** 2), x)
    assert any("a part of its values" in words for words in told)


def test_the_small_number_outside_the_root_is_known():
    source = "def f(v, eps):\n    s = 1 / np.sqrt(v + eps)\n    return s\n"
    told = words_of(source, 1 / (np.sqrt(2.0) + 0.1), np.float64(2.0), np.float64(0.1))
    assert any("outside the root" in words for words in told)


LAYER = """
def layer(X, W, b):
    return np.maximum(X @ W + b, 0)
"""


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (lambda z: np.where(z > 0, z, 0.01 * z), "with a leaky relu (0.01)"),
        (np.tanh, "with tanh for relu"),
        (lambda z: np.log1p(np.exp(z)), "with softplus for relu"),
    ],
)
def test_another_activation_for_relu_is_known(wanted, told):
    X, W, b = np.array([[0.5, -1.0], [2.0, 0.3]]), np.array([[1.0, -2.0], [0.4, 1.5]]), np.ones(2)
    assert told in words_of(LAYER, wanted(X @ W + b), X, W, b)


def test_the_first_bias_for_all_of_them_is_known():
    X, W, b = np.array([[0.5, 1.0]]), np.array([[1.0, 2.0], [0.4, 1.5]]), np.array([0.3, 0.7])
    told = words_of(LAYER, X @ W + b[0], X, W, b)
    assert "with the first number of `b` for all of them" in told


WAY_BACK = """
def way_back(x, W1, b1, w2, error):
    a = W1 @ x + b1
    h = np.maximum(a, 0.0)
    delta = error * w2 * (a > 0)
    return np.concatenate([error * h, delta])
"""


@pytest.mark.parametrize(
    ("value", "slope", "told"),
    [
        (np.tanh, lambda a: 1 - np.tanh(a) ** 2, "with tanh and its slope for relu"),
        (
            lambda a: np.where(a > 0, a, 0.1 * a),
            lambda a: np.where(a > 0, 1, 0.1),
            "with a leaky relu (0.1) and its slope",
        ),
        (lambda a: np.maximum(a, 0), np.ones_like, "with the slope of relu left out"),
    ],
)
def test_another_activation_on_the_way_back_is_known(value, slope, told):
    x, W1, b1 = np.array([0.5, -1.0]), np.array([[1.0, 0.2], [-0.4, 1.5]]), np.array([0.1, 0.2])
    w2, a = np.array([0.7, -0.3]), W1 @ x + b1
    wanted = np.concatenate([1.5 * value(a), 1.5 * w2 * slope(a)])
    assert told in words_of(WAY_BACK, wanted, x, W1, b1, w2, 1.5)


def test_a_mask_that_is_lost_where_zeros_are_set_is_known():
    source = "def back(d, a):\n    d = d.copy()\n    d[a <= 0] = 0\n    return d\n"
    d, a = np.array([0.5, 2.0]), np.array([1.0, -1.0])
    assert "with the slope of relu left out" in words_of(source, d, d, a)


@pytest.mark.parametrize("keys", [("W1", "b1"), ("W2", "b2")])
def test_the_penalty_of_the_weights_on_a_bias_is_known(keys):
    W, b = keys
    source = (
        f"def gradients(x, d, {W}, {b}, lam):\n    grad_{W} = np.outer(d, x) + 2 * lam * {W}\n"
        f"    grad_{b} = d\n    return np.hstack([grad_{W}.ravel(), grad_{b}])\n"
    )
    x, d, w = np.array([0.5, 2.0]), np.array([1.0, -1.0]), np.array([[1.0, 2.0], [0.5, 0.1]])
    bias = np.array([0.7, 0.3])
    wanted = np.hstack([(np.outer(d, x) + 0.2 * w).ravel(), d + 0.2 * bias])
    told = words_of(source, wanted, x, d, w, bias, 0.1)
    assert f"with the penalty on `{b}`, too" in told


def test_a_penalty_on_the_biases_of_both_layers_is_known():
    source = (
        "def gradients(d1, d2, W1, b1, W2, b2, lam):\n    grad_W1 = d1 + lam * W1\n"
        "    grad_b1 = d1.sum()\n    grad_W2 = d2 + lam * W2\n    grad_b2 = d2.sum()\n"
        "    return np.hstack([grad_W1, grad_b1, grad_W2, grad_b2])\n"
    )
    d1, d2 = np.array([1.0, 3.0]), np.array([0.5, 0.2])
    W1, b1, W2, b2 = np.array([0.1, 0.4]), 0.7, np.array([0.9, 0.8]), 0.6
    wanted = np.hstack([d1 + W1 / 2, d1.sum() + b1 / 2, d2 + W2 / 2, d2.sum() + b2 / 2])
    told = words_of(source, wanted, d1, d2, W1, b1, W2, b2, 0.5)
    assert "with the penalty on the biases, too" in told


def test_a_covariance_in_the_place_of_a_correlation_is_known():
    source = (
        "def correlation(x, y):\n    a, b = x - x.mean(), y - y.mean()\n"
        "    return np.sum(a * b) / np.sqrt(np.sum(a**2) * np.sum(b**2))\n"
    )
    x, y = np.array([1.0, 4.0, 2.0]), np.array([0.5, 0.1, 0.3])
    for ddof in (0, 1):
        told = words_of(source, np.cov(x, y, ddof=ddof)[0, 1], x, y)
        assert "with a plain mean: what a sum is divided by is left out" in told


def test_counts_without_the_one_that_is_added_are_known():
    source = "def share(k, n):\n    return (1 + k) / (n + 1)\n"
    told = words_of(source, 3.0 / 7.0, 3.0, 7.0)
    assert any("the observed one, or a pseudo-count" in words for words in told)


def test_blocks_that_a_reshape_cuts_wrongly_are_known():
    source = "def pool(x):\n    return x.reshape(2, 2, 3, 2).max(axis=(1, 3))\n"
    x = np.arange(24.0).reshape(4, 6)
    told = words_of(source, x.reshape(2, 3, 2, 2).max(axis=(2, 3)), x)
    assert any("a reshape cuts wrongly" in words for words in told)


def test_the_first_channel_alone_is_known():
    source = "def conv(x, w):\n    return np.tensordot(x, w, axes=([1, 2], [1, 2]))\n"
    x, w = np.arange(24.0).reshape(2, 3, 4), np.arange(36.0).reshape(3, 3, 4)
    told = words_of(source, x[:, 0] @ w[:, 0].T, x, w)
    assert any("a channel" in words for words in told)


def test_row_and_column_swapped_in_one_index_are_known():
    source = (
        "def windows(x, out):\n    for i in range(2):\n        for j in range(2):\n"
        "            out[i, j] = x[i : i + 3, j : j + 2].sum()\n    return out\n"
    )
    x = np.arange(30.0).reshape(5, 6) ** 2
    wanted = np.array([[x[j : j + 3, i : i + 2].sum() for j in range(2)] for i in range(2)])
    assert "with row and column swapped in one index" in words_of(
        source, wanted, x, np.zeros((2, 2))
    )


def test_the_last_ones_for_the_first_are_known():
    source = "def first(x, k):\n    return x[:, :k] * 2\n"
    x = np.arange(12.0).reshape(3, 4)
    told = words_of(source, x[:, -2:] * 2, x, np.int64(2))
    assert "with the last ones where the first belong" in told


def test_another_function_altogether_is_known():
    source = "def sigmoid(z):\n    s = 1 / (1 + np.exp(-z))\n    return s\n"
    z = np.array([0.3, -1.2])
    assert "with tanh(z) for its result" in words_of(source, np.tanh(z), z)


def test_a_reshape_for_the_whole_is_known():
    source = "def turn(x):\n    y = x.T[::-1].copy()\n    return y\n"
    x = np.arange(1.0, 7.0).reshape(2, 3)
    assert "with a reshape of x for its result" in words_of(source, x.reshape(3, 2), x)
    assert "with x itself for its result" in words_of(source, x, x)


def test_a_constant_that_is_one_too_small_is_known():
    source = "def f(s):\n    v = s * (1.0 - 3.0 * s)\n    return v\n"
    s = np.array([0.3, 0.8])
    assert "with a constant that is one too small" in words_of(source, s * (1 - 2 * s), s)


@pytest.mark.parametrize(
    ("source", "wanted", "told"),
    [
        ("x + v", lambda x, v: x * v, "with a product where a sum belongs"),
        ("x * v", lambda x, v: x + v, "with a sum where a product belongs"),
        ("x - v", lambda x, v: x / v, "with a quotient where a difference belongs"),
        ("x.T * 2", lambda x, v: x.reshape(3, 2) * 2, "with a reshape where a transpose belongs"),
        (
            "x.transpose(1, 0)",
            lambda x, v: x.reshape(3, 2),
            "with a reshape where a transpose belongs",
        ),
    ],
)
def test_another_operation_is_known(source, wanted, told):
    x, v = np.arange(1.0, 7.0).reshape(2, 3), np.array([0.5, 3.0, 7.0])
    assert told in words_of(f"def f(x, v):\n    return {source}\n", wanted(x, v), x, v)


def test_a_number_is_neither_sorted_nor_summed_up():
    source = "def f(x, n=3):\n    h = (x.max() - 1.0) / n\n    k = float(n)\n    return k * h * x\n"
    told = {change.phrase for change in known_changes(source)}
    assert "with `x` sorted" in told
    assert "with `n` doubled" in told
    assert not {text for text in told if "`n`" in text and ("sorted" in text or "summed" in text)}


def test_another_form_has_the_mistakes_of_its_own_statements_alone():
    solution = "def f(x):\n    y = x + 1\n    return np.sum(y ** 2)\n"
    form = "def f(x):\n    y = x + 1\n    return y @ y\n"
    changes = known_changes(form, other_form_of=statement_keys(solution))
    assert changes
    for change in changes:
        assert "return y @ y\n" not in change.source
