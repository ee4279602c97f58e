"""Homework 1 through the whole command: notebooks and scripts, what is right and what is not."""

import ast
from importlib.util import find_spec

import pytest

COURSE = "hw1"

# As the course hands it out and students fill it in: classes, and a main() that needs utils.
SCRIPT = """\
#!/usr/bin/env python
import argparse

import numpy as np
import matplotlib.pyplot as plt

import utils


class LinearModel(object):
    def __init__(self, n_classes, n_features, **kwargs):
        self.W = np.zeros((n_classes, n_features))

    def update_weight(self, x_i, y_i, **kwargs):
        raise NotImplementedError

    def train_epoch(self, X, y, **kwargs):
        for x_i, y_i in zip(X, y):
            self.update_weight(x_i, y_i, **kwargs)


class Perceptron(LinearModel):
    def update_weight(self, x_i, y_i, **kwargs):
        y_hat = np.argmax(self.W.dot(x_i))
        if y_hat != y_i:
            self.W[y_i, :] += x_i
            self.W[y_hat, :] -= x_i


class LogisticRegression(LinearModel):
    def update_weight(self, x_i, y_i, learning_rate=0.001):
        scores = self.W.dot(x_i)[:, None]
        one_hot = np.zeros((np.size(self.W, 0), 1))
        one_hot[y_i] = 1
        p = np.exp(scores) / np.sum(np.exp(scores))
        self.W = self.W + learning_rate * (one_hot - p) * x_i[None, :]


class MLP(object):
    def __init__(self, n_classes, n_features, hidden_size, layers):
        sizes = [n_features] + [hidden_size] * layers + [n_classes]
        self.weights = [np.random.normal(0.1, 0.1, (m, n)) for n, m in zip(sizes, sizes[1:])]
        self.biases = [np.zeros(m) for m in sizes[1:]]

    def forward(self, x):
        hidden = np.maximum(self.weights[0] @ x + self.biases[0], 0)
        return hidden, self.weights[1] @ hidden + self.biases[1]

    def predict(self, X):
        return np.array([np.argmax(self.forward(x)[1]) for x in X])

    def evaluate(self, X, y):
        return (y == self.predict(X)).sum() / y.shape[0]

    def train_epoch(self, X, y, learning_rate=0.001):
        for x, label in zip(X, y):
            hidden, z = self.forward(x)
            delta = np.exp(z - z.max()) / np.exp(z - z.max()).sum()
            delta[label] -= 1
            below = (self.weights[1].T @ delta) * (hidden > 0)
            self.weights[1] -= learning_rate * np.outer(delta, hidden)
            self.biases[1] -= learning_rate * delta
            self.weights[0] -= learning_rate * np.outer(below, x)
            self.biases[0] -= learning_rate * below


def plot(epochs, valid_accs, test_accs):
    plt.xlabel("Epoch")
    plt.ylabel("Accuracy")
    plt.xticks(epochs)
    plt.plot(epochs, valid_accs, label="validation")
    plt.plot(epochs, test_accs, label="test")
    plt.legend()
    plt.show()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", choices=["perceptron", "logistic_regression", "mlp"])
    opt = parser.parse_args()
    utils.configure_seed(seed=42)
    data = utils.load_classification_data(bias=opt.model != "mlp")


if __name__ == "__main__":
    main()
"""


def as_script(course, name):
    """A solved notebook as its students may hand it in: definitions, and a main() for the rest."""
    cells = [cell.source for cell in course.solved(name).cells if cell.cell_type == "code"]
    kinds = ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef
    kept = [
        ast.get_source_segment(source, node)
        for source in cells
        for node in ast.parse(source).body
        if isinstance(node, kinds) and "make_houses" not in ast.dump(node)
    ]
    main = "def main():\n    argparse.ArgumentParser().parse_args()\n    utils.train()"
    end = "if __name__ == '__main__':\n    main()"
    return "\n\n".join(["import argparse", "import utils", *kept, main, end])


def points(submission, prefix=""):
    return {e["id"]: e["points"] for e in submission["exercises"] if e["id"].startswith(prefix)}


def notes(submission, kind):
    return [note["message"] for note in submission["notes"] if note["kind"] == kind]


def test_a_zip_of_solved_notebooks_earns_every_automatic_point(course):
    solved = {name: course.solved(name) for name in course.names}
    submission = course.grade(course.zipped("Germain_Sophie.zip", solved))
    assert course.lost(submission) == {}
    most = 71.0 + 25.0 * has_torch()
    assert course.points(submission) == (most, most, 4.0)


def test_a_zip_of_the_bare_stubs_runs_and_scores_nothing(course):
    stubs = {name: course.bare(name) for name in course.names}
    submission = course.grade(course.zipped("Curie_Marie.zip", stubs))
    assert submission["score"] == 0.0
    # One maximum in one place, whatever is handed in.
    assert submission["max_score"] == 71.0 + 25.0 * has_torch()
    open_here = set() if has_torch() else {"not_gradable"}
    assert {e["status"] for e in submission["exercises"]} == {"missing", "manual"} | open_here
    # A torch model without parameters has nothing to optimise: those cells wait to be filled.
    assert [text for text in notes(submission, "cell_error") if "hw1-q4" not in text] == []


def has_torch():
    return find_spec("torch") is not None


@pytest.mark.skipif(has_torch(), reason="torch is installed here")
def test_without_torch_its_exercises_are_open_and_the_install_command_is_told(course):
    files = {name: course.solved(name) for name in ("hw1-q3.ipynb", "hw1-q4.ipynb")}
    submission = course.grade(course.zipped("a_b.zip", files))
    q4 = [e for e in submission["exercises"] if e["id"].startswith("q4")]
    assert {e["status"] for e in q4} == {"not_gradable"}
    assert "pip install torch" in q4[0]["checks"][0]["message"]
    assert course.lost(submission, "q3", "q4") == {}
    assert submission["max_score"] == 71.0


@pytest.mark.skipif(has_torch(), reason="torch is installed here")
def test_without_torch_what_was_not_handed_in_is_open_as_it_is_for_everybody(course):
    submission = course.grade(
        course.zipped("c_d.zip", {"hw1-q1.ipynb": course.solved("hw1-q1.ipynb")})
    )
    q4 = [e for e in submission["exercises"] if e["id"].startswith("q4")]
    assert {e["status"] for e in q4} == {"not_gradable"}
    assert "was not handed in" in q4[0]["checks"][0]["message"]
    assert submission["max_score"] == 71.0


def test_scripts_score_as_the_notebooks_do_also_without_their_utils(course):
    files = {
        f"homework/{name}.py": as_script(course, f"{name}.ipynb") for name in ("hw1-q2", "hw1-q3")
    }
    alone = course.grade(course.zipped("alone_a.zip", files))
    assert course.lost(alone, "q2", "q3") == {}
    assert any("utils" in text for text in notes(alone, "cell_error"))
    files["homework/utils.py"] = "def train():\n    raise RuntimeError('main() does not run')\n"
    whole = course.grade(course.zipped("whole_a.zip", files))
    assert points(whole) == points(alone)
    assert notes(whole, "cell_error") == []


def test_a_script_in_the_courses_own_form_loses_nothing(course, tmp_path):
    script = tmp_path / "hw1-q3.py"
    script.write_text(SCRIPT)
    submission = course.grade(script)
    assert course.lost(submission, "q3") == {}
    assert submission["score"] == 21.0


def test_a_softmax_that_is_not_shifted_and_a_witness_that_is_none_are_told(course):
    wrong = {
        "softmax": "s = np.exp(z) / np.sum(np.exp(z))",
        "nonconvex_witness": "a, b = (1.0, 0.0), (0.0, 1.0)",
    }
    path = course.written("hw1-q1.ipynb", course.filled("hw1-q1.ipynb", wrong))
    messages = course.lost(course.grade(path), "q1")
    assert set(messages) == {"q1c-softmax", "q1d-multinomial", "q1e-convexity"}
    assert "nan came up" in messages["q1c-softmax"]


def test_mistakes_of_a_step_are_named(course):
    wrong = {
        "Perceptron.update_weight": """
y_hat = np.argmax(self.W @ x_i)
self.W[y_i] += x_i
if y_hat != y_i:
    self.W[y_hat] -= x_i
""",
        "LogisticRegression.update_weight": """
e = np.exp(self.W @ x_i)
self.W -= learning_rate * np.outer(e / e.sum() - y_i, x_i)
""",
    }
    path = course.written("hw1-q3.ipynb", course.filled("hw1-q3.ipynb", wrong))
    messages = course.lost(course.grade(path), "q3")
    assert set(messages) == {"q3-perceptron", "q3-logistic"}
    assert "only where the prediction is wrong" in messages["q3-perceptron"]
    assert "subtracted as a number" in messages["q3-logistic"]
