"""Sheets with data files and helper modules, as four courses have them: from sources to grades."""

from dataclasses import dataclass

import numpy as np
import pytest

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Sheet:
    """A sheet.

    files : that lie beside the notebook, by name; cells : of its solved notebook
    named : what `files` of its assignment.toml holds then
    edits : what an instructor has still to do, (file of the assignment, old, new)
    mistake : (old, new) in the solved notebook, and the exercise that loses its points by it
    """

    files: dict[str, str]
    cells: tuple[str, ...]
    named: str
    points: dict[str, float]
    secret: tuple[str, ...]
    mistake: tuple[str, str, str]
    edits: tuple[tuple[str, str, str], ...] = ()


def table(columns, rows, seed):
    rng = np.random.default_rng(seed)
    lines = [",".join(columns)]
    lines += [",".join(f"{value:.3f}" for value in rng.normal(size=len(columns)))
              for _ in range(rows)]  # fmt: skip
    return "\n".join(lines) + "\n"


SHEETS = {
    "deeplearning.ai": Sheet(
        files={
            "lr_utils.py": '''import numpy as np


def load_points():
    """Return the points (m, 2) and the labels (m, 1)."""
    table = np.loadtxt("datasets/points.csv", delimiter=",", skiprows=1)
    return table[:, :2], (table[:, 2:] > 0).astype(int)
''',
            "datasets/points.csv": table(("x1", "x2", "y"), 12, 1),
            "public_tests.py": """import numpy as np


def propagate_test(target):
    w, b = np.array([[0.5], [-0.25]]), 0.75
    X, Y = np.array([[1.0, -2.0], [0.5, 3.0], [-1.0, 1.0]]), np.array([[1], [0], [1]])
    grads, cost = target(w, b, X, Y)
    assert isinstance(grads, dict), "grads is a dictionary"
    assert np.allclose(grads["dw"], [[0.2110137], [0.4942080]], atol=1e-6), "dw is wrong"
    assert np.allclose(grads["db"], -0.0286236, atol=1e-6), "db is wrong"
    assert np.allclose(cost, 0.5597703, atol=1e-6), "the cost is wrong"
    print("All tests passed!")
""",
        },
        cells=(
            "# Week 2: logistic regression",
            "import numpy as np\nfrom lr_utils import load_points\nfrom public_tests import *",
            "X_train, Y_train = load_points()\nprint(X_train.shape)",
            '''# GRADED FUNCTION: propagate
def propagate(w, b, X, Y):
    """Return the gradients, a dictionary, and the cost."""
    m = X.shape[0]
    # (≈ 2 lines of code)
    # YOUR CODE STARTS HERE
    A = 1 / (1 + np.exp(-(X @ w + b)))
    cost = -np.mean(Y * np.log(A) + (1 - Y) * np.log(1 - A))
    dw = X.T @ (A - Y) / m
    db = np.mean(A - Y)
    # YOUR CODE ENDS HERE
    return {"dw": dw, "db": db}, cost''',
            "propagate_test(propagate)",
        ),
        named='["datasets/points.csv", "lr_utils.py", "public_tests.py"]',
        points={"propagate": 1},
        secret=("np.exp(-(X", "X.T @ (A"),
        mistake=("X.T @ (A - Y)", "X.T @ (Y - A)", "propagate"),
    ),
    "CS229": Sheet(
        files={
            "util.py": '''import csv
import os

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


def load_dataset(name, add_intercept=False):
    """Return inputs (m, n) and labels (m,) of a file in the folder data."""
    with open(os.path.join(HERE, "data", name)) as file:
        rows = np.array([[float(v) for v in row] for row in list(csv.reader(file))[1:]])
    x, y = rows[:, :-1], (rows[:, -1] > 0).astype(float)
    return (np.column_stack([np.ones(len(x)), x]) if add_intercept else x), y
''',
            "data/ds1_train.csv": table(("x_1", "x_2", "y"), 20, 2),
            "data/ds1_valid.csv": table(("x_1", "x_2", "y"), 10, 3),
        },
        cells=(
            "# Problem set 1: Gaussian discriminant analysis",
            "import numpy as np\nimport util",
            'DATA = "data"\nx, y = util.load_dataset("ds1_train.csv")',
            '''def fit_gda(x, y):
    """Return phi, mu_0, mu_1 and sigma."""
    # *** START CODE HERE ***
    phi = y.mean()
    mu_0, mu_1 = x[y == 0].mean(axis=0), x[y == 1].mean(axis=0)
    z = x - np.where(y[:, None] == 1, mu_1, mu_0)
    sigma = z.T @ z / len(x)
    # *** END CODE HERE ***
    return phi, mu_0, mu_1, sigma''',
            """x, y = util.load_dataset("ds1_valid.csv")
phi, mu_0, mu_1, sigma = fit_gda(x, y)
assert np.isclose(phi, np.count_nonzero(y) / len(y))
assert np.allclose(mu_0 * (1 - phi) + mu_1 * phi, x.mean(axis=0))
within = [np.cov(x[y == c].T, bias=True) * (y == c).sum() for c in (0, 1)]
assert np.allclose(sigma, sum(within) / len(y))
assert np.allclose(mu_1, np.average(x, axis=0, weights=y))""",
        ),
        named='["data/ds1_train.csv", "data/ds1_valid.csv", "util.py"]',
        points={"fit-gda": 1},
        secret=("phi = y.mean()", "z.T @ z"),
        mistake=("z.T @ z / len(x)", "z.T @ z", "fit-gda"),
    ),
    "CS231n": Sheet(
        files={
            "cs231n/__init__.py": "",
            "cs231n/data_utils.py": '''from pathlib import Path

import numpy as np

from .shapes import SIZE


def get_small_data():
    """Return some pictures (n, SIZE, SIZE) and their labels (n,)."""
    file = Path(__file__).parent / "datasets" / "small.csv"
    table = np.loadtxt(file, delimiter=",", skiprows=1)
    return table[:, 1:].reshape(-1, SIZE, SIZE), (table[:, 0] > 0).astype(int)
''',
            "cs231n/shapes.py": "SIZE = 2\n",
            "cs231n/gradient_check.py": '''import numpy as np


def eval_numerical_gradient_array(f, x, df, h=1e-5):
    """Return the gradient of sum(f(x) * df) by central differences."""
    grad = np.zeros_like(x)
    for at in np.ndindex(*x.shape):
        old = x[at]
        x[at] = old + h
        above = f(x).copy()
        x[at] = old - h
        below = f(x).copy()
        x[at] = old
        grad[at] = np.sum((above - below) * df) / (2 * h)
    return grad
''',
            "cs231n/datasets/small.csv": table(("y", "a", "b", "c", "d"), 8, 4),
        },
        cells=(
            "# Assignment 1: softmax",
            "import numpy as np\nfrom cs231n.data_utils import get_small_data\n"
            "from cs231n.gradient_check import eval_numerical_gradient_array",
            "X, y = get_small_data()\nprint(X.shape, y.shape)",
            '''def softmax_loss(scores, y):
    """Return the mean loss and its gradient with respect to the scores (n, classes)."""
    loss, dscores = 0.0, None
    # *****START OF YOUR CODE (DO NOT DELETE/MODIFY THIS LINE)*****
    p = np.exp(scores - scores.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    rows = np.arange(len(y))
    loss = -np.log(p[rows, y]).mean()
    dscores = p.copy()
    dscores[rows, y] -= 1
    dscores /= len(y)
    # *****END OF YOUR CODE (DO NOT DELETE/MODIFY THIS LINE)*****
    return loss, dscores''',
            """X, y = get_small_data()
scores = X.reshape(len(X), -1) @ np.random.default_rng(0).normal(size=(4, 3))
loss, dscores = softmax_loss(scores, y)
by_hand = np.log(np.exp(scores).sum(axis=1)) - scores[np.arange(len(y)), y]
assert np.isclose(loss, by_hand.mean())
numeric = eval_numerical_gradient_array(lambda s: softmax_loss(s, y)[0], scores, 1.0)
assert np.abs(numeric - dscores).max() < 1e-7
large, _ = softmax_loss(scores + 1000.0, y)
assert np.isclose(large, loss)
wide = np.array([[-2000.0, 0.0, 1.0], [0.0, 1.0, 2000.0]])
assert np.isclose(softmax_loss(wide, np.array([2, 2]))[0], np.log1p(np.exp(-1.0)) / 2)""",
        ),
        named='["cs231n/"]',
        points={"softmax-loss": 1},
        secret=("keepdims=True)", "dscores[rows, y]"),
        mistake=("dscores /= len(y)", "dscores *= 1.0", "softmax-loss"),
    ),
    "EPFL": Sheet(
        files={
            "helpers.py": '''"""Functions of the lab."""

import numpy as np


def load_data():
    data = np.genfromtxt("height_weight.csv", delimiter=",", skip_header=1)
    return data[:, 0], data[:, 1]


def build_poly(x, degree):
    return x[:, None] ** np.arange(degree + 1)
''',
            "height_weight.csv": table(("height", "weight"), 16, 5),
        },
        cells=(
            "# Lab 3: ridge regression",
            "import numpy as np\nfrom helpers import *\n%load_ext autoreload\n%autoreload 2",
            "x, y = load_data()\ntx = build_poly(x, 2)",
            '''def ridge_regression(y, tx, lambda_):
    """Return the weights of ridge regression, shape (D,).

    >>> ridge_regression(np.array([1.0, 2.0]), np.eye(2), 0.5).round(3).tolist()
    [0.333, 0.667]
    """
    ### SOLUTION
    aI = 2 * len(y) * lambda_ * np.eye(tx.shape[1])
    return np.linalg.solve(tx.T @ tx + aI, tx.T @ y)
    ### TEMPLATE
    # # INSERT YOUR CODE HERE
    # raise NotImplementedError
    ### END SOLUTION''',
            '''x, y = load_data()
tx = build_poly(x, 2)
for lambda_ in (0.0, 0.1, 2.0):
    w = ridge_regression(y, tx, lambda_)
    residual = tx.T @ (y - tx @ w) / len(y) - 2 * lambda_ * w
    assert np.abs(residual).max() < 1e-9, "the gradient of the cost is not 0 there"''',
        ),
        named='["height_weight.csv", "helpers.py"]',
        points={"ridge-regression": 2},
        secret=("np.linalg.solve", "TEMPLATE"),
        mistake=("2 * len(y) * lambda_ * np.eye", "lambda_ * np.eye", "ridge-regression"),
    ),
}
MOST_EDITS = 5


@pytest.mark.parametrize("name", SHEETS)
def test_a_sheet_with_files_is_verified_handed_out_and_graded(course, name):
    told = SHEETS[name]
    assert len(told.edits) <= MOST_EDITS
    for file, content in told.files.items():
        path = course.folder / "src" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    cells = [
        course.text(cell) if cell.startswith("# ") and "GRADED" not in cell else course.code(cell)
        for cell in told.cells
    ]
    source = course.write("src/sheet.ipynb", *cells)
    report = course.grade("new", "sheet", "--from", source)
    for file in told.files:
        assert f"students get {file} with the notebook" in report
    for file, old, new in told.edits:
        course.edit(f"reference/sheet/{file}", old, new)
    assert (
        f"files = {told.named}\n" in (course.folder / "reference/sheet/assignment.toml").read_text()
    )
    assert ": holds" in course.grade("verify", "sheet", "--seeds", 2)
    course.grade("stubs", "sheet")
    _, files = course.stub("sheet", "sheet.ipynb")
    everything = "\n".join(files.values())
    for secret in told.secret:
        assert secret not in everything
    for file, content in told.files.items():
        assert files[file] == content
    # A single notebook, without the files, far from them.
    assert course.points(course.solved("sheet", "sheet.ipynb")) == told.points
    old, new, lost = told.mistake
    wrong = course.solved("sheet", "sheet.ipynb", mistake=(old, new))
    assert course.points(wrong)[lost] < told.points[lost]
