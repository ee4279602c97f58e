"""Train the references on the full data sets; print them beside what graded answers reached.

    export GRADE_DATA=FOLDER
    python tests/benchmarks/documents.py [--ames FILE] [--only ROW ...] [--seeds N]

FOLDER holds the whole of MNIST and of Fashion-MNIST, put there by `grade data import`. FILE is an
npz of the Ames houses as hw1 hands them out: Xtrain (n, 348), ytrain, Xtest, ytest. Rows that lack
their data, or torch, are left out and named. All of them take twenty minutes of one processor.

The models are those of reference/: what a solved notebook defines, trained as the sheets say.

graded    what an answer reports that its course has graded; or what the sheet asks for
here      after the last epoch, the median of the seeds 1 to N
from, to  the least and the most, after each of the last five epochs, of all seeds
"""

import argparse
import ast
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

# One processor, whatever the machine: the seconds are then the same kind of seconds everywhere.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MPLBACKEND="agg")

import nbformat
import numpy as np

from grader import datasets

REFERENCE = Path(__file__).resolve().parents[2] / "reference"
Set = tuple[Any, Any]
Pairs = Iterator[tuple[float, float]]
"""Two numbers after each epoch: of the training or validation set, and of the test set."""


@cache
def defined(assignment: str, notebook: str) -> dict[str, Any]:
    """Return what a solved notebook imports and defines, its constants too; no cell runs."""
    cells = nbformat.read(REFERENCE / assignment / notebook, as_version=4).cells
    trees = [ast.parse(cell.source) for cell in cells if cell.cell_type == "code"]
    kept = [node for tree in trees for node in tree.body if is_definition(node)]
    names: dict[str, Any] = {}
    exec(compile(ast.Module(kept, []), notebook, "exec"), names)
    return names


def is_definition(node: ast.stmt) -> bool:
    if isinstance(node, ast.Assign):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef))


# --- data ---------------------------------------------------------------------------------


@cache
def whole(name: str) -> Set:
    """Return a full set in OpenML's order, the 10000 test images last."""
    x, y = datasets.load(name)
    if len(x) != 70000:
        raise SystemExit(
            f"{name} has {len(x)} images here, the whole of it has 70000: "
            "import it (README, Data sets) and set GRADE_DATA"
        )
    return x, y.astype(int)


@cache
def clothes(*, ones: bool = False) -> tuple[Set, Set, Set]:
    """Return 50000 images to train on, 10000 to validate and 10000 to test with, as hw1 asks."""
    x, y = whole("fashion-mnist")
    X = x / 256
    if ones:
        X = np.column_stack([X, np.ones(len(X))])
    train, valid, test = (slice(a, b) for a, b in ((0, 50000), (50000, 60000), (60000, 70000)))
    return (X[train], y[train]), (X[valid], y[valid]), (X[test], y[test])


def houses(file: Path, *, ones: bool = False) -> tuple[Set, Set]:
    """Return the Ames houses to train on and to test with: features, logarithms of prices."""
    with np.load(file) as arrays:
        sets = [(arrays[f"X{part}"], arrays[f"y{part}"].ravel()) for part in ("train", "test")]
    if ones:
        sets = [(np.column_stack([X, np.ones(len(X))]), y) for X, y in sets]
    return sets[0], sets[1]


# --- trainings ----------------------------------------------------------------------------


def epochs_of(model: Any, train: Set, epochs: int, **how: float) -> Iterator[None]:
    """Train example by example, in an order drawn anew for each epoch."""
    X, y = train
    for _ in range(epochs):
        order = np.random.permutation(len(X))
        model.train_epoch(X[order], y[order], **how)
        yield


def regression(model: str, file: Path, seed: int) -> Pairs:
    """hw1, question 2: root mean squared errors of the logarithm of the price."""
    np.random.seed(seed)
    train, test = houses(file, ones=model == "LinearRegression")
    made = defined("hw1", "hw1-q2.ipynb")[model](train[0].shape[1], hidden=150)
    for _ in epochs_of(made, train, 150, learning_rate=0.001):
        yield made.evaluate(*train) ** 0.5, made.evaluate(*test) ** 0.5


def classification(model: str, seed: int, **sizes: int) -> Pairs:
    """hw1, question 3: accuracies on the validation and the test images."""
    np.random.seed(seed)
    train, valid, test = clothes(ones=not sizes)
    made = defined("hw1", "hw1-q3.ipynb")[model](10, train[0].shape[1], **sizes)
    for _ in epochs_of(made, train, 20, learning_rate=0.001):
        yield made.evaluate(*valid), made.evaluate(*test)


def with_torch(model: str, rate: float, seed: int, **how: Any) -> Pairs:
    """hw1, question 4: the same, image by image (a batch of 1) as in the sheet's own script."""
    import torch

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    names = defined("hw1", "hw1-q4.ipynb")
    sets = [(torch.tensor(X, dtype=torch.float32), torch.tensor(y)) for X, y in clothes()]
    made = names[model](10, 784, **how)
    optimizer = torch.optim.SGD(made.parameters(), lr=rate)
    criterion = torch.nn.CrossEntropyLoss()
    (X, y), valid, test = sets
    for _ in range(20):
        for i in torch.randperm(len(X)).tolist():
            names["train_batch"](X[i : i + 1], y[i : i + 1], made, optimizer, criterion)
        yield names["evaluate"](made, *valid), names["evaluate"](made, *test)


def digits_1_and_7(seed: int) -> Any:
    """Return the data of pw02's perceptron, a fifth of it to test with."""
    from sklearn.model_selection import train_test_split

    x, digits = whole("mnist")
    chosen = np.isin(digits, (1, 7))
    labels = (digits[chosen] == 7).astype(float).reshape(-1, 1)
    parts = train_test_split(x[chosen].astype(float), labels, test_size=0.2, random_state=seed)
    return dict(zip(("x_train", "x_test", "y_train", "y_test"), parts, strict=True))


def perceptron(alpha: float, epochs: int, seed: int) -> Any:
    """Return pw02's perceptron, trained on cross-entropy."""
    names = defined("pw02", "MNIST_binary_classifier_stud.ipynb")
    made = names["GradientDescent"](digits_1_and_7(seed), alpha, names["cost_CE"])
    made.normalise_data()
    with np.errstate(over="ignore"):
        made.optimise(epochs)
    return made


def one_or_seven(seed: int) -> Pairs:
    """pw02: error rates on the training and the test images."""
    yield from perceptron(0.5, 201, seed).result_data[1:, 2:4]


def by_minibatches(seed: int) -> Pairs:
    """ift6390, question 3: error rates on validation and test, with what its notebook chose."""
    names = defined("ift6390", "ift6390-hw3-q3.ipynb")
    x, y = whole("fashion-mnist")
    order = np.random.default_rng(seed).permutation(len(x))
    X, y = x[order] / 255.0, y[order]
    test, valid, train = ((X[a:b], y[a:b]) for a, b in ((0, 14000), (14000, 21000), (21000, None)))
    net = names["NeuralNet"](784, 128, 10, l12=1e-4, l22=1e-4, seed=seed)
    yield from names["train"](net, train, valid, test, K=20, eta=0.1, epochs=20)[:, [3, 5]]


# --- the tables ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A model, what was reported of it, and its training.

    what : the two numbers
    graded : as the answer gives them, or what the sheet asks for
    """

    model: str
    what: str
    graded: str
    run: Callable[[int], Pairs]


def rows_of(ames: Path | None) -> dict[str, Row]:
    """Return the rows by their names; those without data or torch are left out."""
    validated, of_houses = "validation / test accuracy", "train / test error of log price"
    rows = {
        "pw02": Row("1 or 7, 200 epochs", "train / test error rate", "- / <= 0.01", one_or_seven),
        "perceptron": Row("perceptron", validated, "0.7126 / 0.7013",
                          lambda seed: classification("Perceptron", seed)),
        "logistic": Row("logistic regression", validated, "0.8503 / 0.8403",
                        lambda seed: classification("LogisticRegression", seed)),
        "mlp": Row("MLP, 200 units", validated, "0.8761 / 0.8699",
                   lambda seed: classification("MLP", seed, hidden_size=200)),
        "ift6390": Row("128 units, minibatches", "validation / test error rate", "- / < 0.20",
                       by_minibatches),
    }  # fmt: skip
    if ames is not None:
        rows["linear"] = Row(
            "linear regression",
            of_houses,
            "0.111 / 0.238",
            lambda seed: regression("LinearRegression", ames, seed),
        )
        rows["neural"] = Row("150 hidden units", of_houses, "0.099 / 0.165",
                             lambda seed: regression("NeuralRegression", ames, seed))  # fmt: skip
    if find_spec("torch") is not None:
        rows["torch-logistic"] = Row(
            "torch: logistic regression, rate 0.001",
            validated,
            "0.8513 / 0.8402",
            lambda seed: with_torch("LogisticRegression", 0.001, seed),
        )
        for layers, rate, graded in (
            (1, 0.001, "0.8871 / 0.8774"),
            (2, 0.01, "0.8677 / 0.8613"),
            (3, 0.01, "0.8688 / 0.8608"),
        ):
            rows[f"torch-{layers}"] = Row(
                f"torch: {layers} x 200 units, rate {rate}", validated, graded,
                lambda seed, layers=layers, rate=rate: with_torch(  # type: ignore[misc]
                    "FeedforwardNetwork", rate, seed, hidden_size=200, layers=layers,
                    activation_type="relu", dropout=0.3),
            )  # fmt: skip
    return rows


def print_rows(rows: dict[str, Row], seeds: int) -> None:
    print("| row | model | numbers | graded | here | from | to | s |")
    print("|---|---|---|---|---|---|---|---:|", flush=True)
    for name, row in rows.items():
        began = time.process_time()
        runs = np.array([list(row.run(seed)) for seed in range(1, 1 + seeds)])
        spent = (time.process_time() - began) / seeds
        here = [statistics.median(column) for column in runs[:, -1].T]
        least, most = runs[:, -5:].min(axis=(0, 1)), runs[:, -5:].max(axis=(0, 1))
        told = [" / ".join(f"{number:.4f}" for number in pair) for pair in (here, least, most)]
        cells = [name, row.model, row.what, row.graded, *told, f"{spent:.0f}"]
        print(f"| {' | '.join(cells)} |", flush=True)


def print_rates() -> None:
    """Print pw02's test error over the learning rate and the number of epochs."""
    reported = {0.05: 500, 0.1: 500, 0.5: 200, 1.0: 200, 1.5: 200, 5.0: 150, 10.0: 100}
    after = (10, 50, 100, 200, 500)
    print(f"| rate | {' | '.join(f'after {n}' for n in after)} | epochs that an answer chose |")
    print(f"|---:|{'---:|' * len(after)}---:|", flush=True)
    for alpha in (0.01, 0.05, 0.1, 0.5, 1.0, 1.5, 2.0, 5.0, 10.0):
        errors = perceptron(alpha, max(after) + 1, 1).result_data[:, 3]
        told = " | ".join(f"{errors[n]:.4f}" for n in after)
        print(f"| {alpha:g} | {told} | {reported.get(alpha, '-')} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--ames", metavar="FILE", type=Path)
    parser.add_argument("--only", metavar="ROW", nargs="+", default=[])
    parser.add_argument("--seeds", metavar="N", type=int, default=1)
    arguments = parser.parse_args()
    rows = rows_of(arguments.ames)
    unknown = [name for name in arguments.only if name not in (*rows, "rates")]
    if unknown:
        parser.error(f"no such row: {', '.join(unknown)}; there are {', '.join(rows)}, rates")
    if arguments.ames is None:
        print("linear, neural: left out, they need --ames FILE", file=sys.stderr)
    if find_spec("torch") is None:
        print("torch-*: left out, torch is not installed", file=sys.stderr)
    chosen = {n: row for n, row in rows.items() if n in arguments.only or not arguments.only}
    if chosen:
        print_rows(chosen, arguments.seeds)
    if "rates" in arguments.only or not arguments.only:
        print_rates()


if __name__ == "__main__":
    main()
