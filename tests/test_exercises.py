"""No exercise of the four assignments is missing.

What the sheets ask for is written down here once more, item by item, apart from the files that
grade it: the exercises that cover an item, the functions it names, and whether words are due.
"""

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

from grader.assignment import load_assignment

REFERENCE = Path(__file__).resolve().parents[1] / "reference"


class Item(NamedTuple):
    """One item of a sheet.

    covers : ids of the exercises that grade it
    names : functions as the sheet spells them; later parameters, with defaults, may follow
    words : a derivation or an explanation in words is due; a person reads it
    """

    covers: str
    names: tuple[str, ...] = ()
    words: bool = False


SHEETS = {
    "pw02": {
        "1 channels": Item("1-channels", ("split_channels(img)",)),
        "1 flips": Item("1-flip", ("flip_vertical(img)", "flip_horizontal(img)")),
        "1 rotation": Item("1-rotate", ("rotate_90(img)",)),
        "1 broadcasting": Item(
            "1-broadcast", ("add_to_rows(x, v)", "add_to_columns(x, w)", "outer(v, w)")
        ),
        "2 (a) derivative of the sigmoid": Item("2ab-sigmoid", ("sigmoid_prime(z)",), True),
        "2 (b) its identity": Item("2ab-sigmoid", words=True),
        "2 (c) softplus": Item(
            "2c-softplus", ("softplus(z)", "softplus_prime(z)", "softplus_second(z)"), True
        ),
        "2 (d) implementation": Item("2ab-sigmoid", ("sigmoid(z)",)),
        "2 (d) plot": Item("2d-plot"),
        "2 (f) a cost that is not convex": Item(
            "2f-nonconvex", ("c1(x)", "c1_prime(x)", "c1_second(x)", "c1_nonconvex_witness()"), True
        ),
        "2 (g) a cost that is convex": Item(
            "2g-convex", ("c2(w, x, y)", "c2_grad(w, x, y)", "c2_hess(w, x, y)"), True
        ),
        "3 (b) the class": Item(
            "3b-training", ("GradientDescent(data, alpha, cost_function, random_std)",)
        ),
        "3 (b) normalisation": Item("3b-normalise", ("GradientDescent.normalise_data()",)),
        "3 (b) costs": Item("3b-cost", ("GradientDescent.cost_funct(y_pred, y)",)),
        "3 (b) gradients": Item("3b-grad", ("GradientDescent.grad_cost()",)),
        "3 (b) prediction": Item("3b-predict", ("GradientDescent.predict(x)",)),
        "3 (b) update": Item("3b-update", ("GradientDescent.update()",)),
        "3 (c) training": Item("3b-training", ("GradientDescent.optimise(epochs)",)),
        "3 (c) learning curves": Item("3c-curves"),
        "3 (d) number of epochs": Item("3d-epochs", words=True),
        "3 (e) learning rates": Item("3e-rates", words=True),
        "3 (f) weights, misclassified images": Item("3f-weights", words=True),
        "3 (g) all pairs": Item("3g-pairs", ("pairwise_error_rates(x, digits)",), True),
        "4 review questions": Item("4-review", words=True),
    },
    "hw1": {
        "1.1": Item("q1a-sigmoid", ("sigmoid(z)", "sigmoid_prime(z)"), True),
        "1.2": Item(
            "q1b-binary-loss",
            (
                "binary_logistic_loss(z, y)",
                "binary_logistic_loss_grad(z, y)",
                "binary_logistic_loss_hess(z, y)",
            ),
            True,
        ),
        "1.3": Item("q1c-softmax", ("softmax(z)", "softmax_jacobian(z)"), True),
        "1.4": Item(
            "q1d-multinomial",
            (
                "multinomial_loss(z, j)",
                "multinomial_loss_grad(z, j)",
                "multinomial_loss_hess(z, j)",
            ),
            True,
        ),
        "1.5": Item("q1e-convexity", ("loss_in_parameters(W, b, phi, j)",), True),
        "2.1": Item(
            "q2-squared-loss",
            ("squared_loss(z, y)", "squared_loss_grad(z, y)", "squared_loss_hess(z, y)"),
            True,
        ),
        "2.2a analytic": Item("q2-analytic", ("solve_analytically(X, y)",)),
        "2.2a gradient descent": Item(
            "q2-sgd-step",
            (
                "LinearRegression(n_features)",
                "LinearRegression.update_weight(x_i, y_i, learning_rate)",
            ),
        ),
        "2.2a distance": Item("q2-distance", ("distance(analytic_solution, model_params)",), True),
        "2.2b": Item(
            "q2-neural",
            (
                "NeuralRegression(n_features, hidden)",
                "NeuralRegression.update_weight(x_i, y_i, learning_rate)",
                "NeuralRegression.predict(X)",
            ),
            True,
        ),
        "2.2 curves": Item("q2-curves"),
        "3.1a": Item(
            "q3-perceptron",
            ("Perceptron(n_classes, n_features)", "Perceptron.update_weight(x_i, y_i)"),
        ),
        "3.1b": Item("q3-logistic", ("LogisticRegression.update_weight(x_i, y_i, learning_rate)",)),
        "3.2a why non-linear": Item("q3-why-nonlinear", words=True),
        "3.2b": Item(
            "q3-mlp",
            (
                "MLP(n_classes, n_features, hidden_size)",
                "MLP.train_epoch(X, y, learning_rate)",
                "MLP.predict(X)",
                "MLP.evaluate(X, y)",
            ),
        ),
        "3 curves": Item("q3-curves"),
        "4.1": Item(
            "q4-logistic q4-training", ("LogisticRegression(n_classes, n_features)",), True
        ),
        "4 a step": Item("q4-step", ("train_batch(X, y, model, optimizer, criterion)",)),
        "4.2": Item(
            "q4-network",
            (
                "FeedforwardNetwork(n_classes, n_features, hidden_size, layers, activation_type, "
                "dropout)",
            ),
            True,
        ),
        "4.3 two and three layers": Item("q4-training", words=True),
    },
    "ecse552": {
        "1 forward": Item("q1-forward", ("init_parameters(sizes, rng)", "forward(x, params)")),
        "1 gradients of the outputs": Item(
            "q1-output-gradients", ("backward(x, y, params, activations)",), True
        ),
        "1 gradients of the hidden layers": Item("q1-hidden-gradients", words=True),
        "1 update": Item(
            "q1-update", ("update(params, grads, eta)", "train(x_train, y_train, x_val, y_val)")
        ),
        "1 error curves": Item("q1-error-curves"),
        "2 data": Item("q2-rings", ("make_rings(n, rng)",)),
        "2 classifier": Item(
            "q2-classifier", ("train_classifier(X, y)", "RingClassifier.predict(X)")
        ),
        "2 lines": Item("q2-lines", ("RingClassifier.hidden_lines()",)),
        "2 figure": Item("q2-figure", words=True),
        "3 cost": Item("q3-nll", ("nll(z, y)",)),
        "3 derivative": Item("q3-nll-prime", ("nll_prime(z, y)",), True),
        "3 four cases": Item("q3-vanishes", ("vanishes(sign_z, y)",), True),
    },
    "ift6390": {
        "1 (1)": Item("q1-sigmoid-tanh", ("sigmoid_from_tanh(x)",), True),
        "1 (2)": Item("q1-log-sigmoid", ("log_sigmoid(x)",), True),
        "1 (3)": Item("q1-dsigmoid", ("dsigmoid(x)",), True),
        "1 (4)": Item("q1-dtanh", ("dtanh(x)",), True),
        "1 (5)": Item("q1-sign", ("sign(x)",), True),
        "1 (6)": Item("q1-dabs", ("dabs(x)",), True),
        "1 (7)": Item("q1-drect", ("drect(x)",), True),
        "1 (8)": Item("q1-grad-l2", ("grad_l2_squared(x)",), True),
        "1 (9)": Item("q1-grad-l1", ("grad_l1(x)",), True),
        "2 (1-4) forward": Item("q2-forward", ("forward(x, W1, b1, W2, b2)",), True),
        "2 (5-6) parameters": Item("q2-n-parameters", ("n_parameters(d, dh, m)",), True),
        "2 (7-8) pre-activations of the outputs": Item("q2-grad-oa", ("grad_oa(os, y)",), True),
        "2 (9-10) output layer": Item("q2-grad-b2 q2-grad-W2", ("grad_b2()", "grad_W2()"), True),
        "2 (11-14) hidden units": Item("q2-grad-hs q2-grad-ha", ("grad_hs()", "grad_ha()"), True),
        "2 (15-17) first layer and input": Item(
            "q2-grad-b1 q2-grad-W1 q2-grad-x", ("grad_b1()", "grad_W1()", "grad_x()"), True
        ),
        "2 (18) elastic net": Item("q2-grad-elastic", ("grad_elastic(W, l1, l2)",), True),
        "3 softmax": Item("q3-softmax", ("softmax(z)",)),
        "3 initial parameters": Item("q3-init", ("NeuralNet(d, dh, m, l11, l12, l21, l22, seed)",)),
        "3 fprop": Item("q3-fprop", ("NeuralNet.fprop(X, y)",)),
        "3 bprop by a loop": Item("q3-bprop-loop", ("NeuralNet.bprop_loop(X, y)",)),
        "3 finite differences": Item(
            "q3-finite-difference", ("NeuralNet.finite_difference(X, y, epsilon)",)
        ),
        "3 bprop by matrices, faster": Item("q3-bprop", ("NeuralNet.bprop(X, y)",), True),
        "3 minibatches": Item("q3-train", ("train(net, train_set, valid_set, test_set)",)),
        "3 decision regions": Item("q3-regions"),
        "3 width and weight decay": Item("q3-study", words=True),
        "3 Fashion-MNIST": Item("q3-fashion", words=True),
        "3 log and curves": Item("q3-curves"),
    },
}

# What each question counts, bonus points aside.
POINTS = {
    "pw02": {"1": 10, "2": 30, "3": 50, "4": 10},
    "hw1": {"1": 25, "2": 25, "3": 25, "4": 25},
    "ecse552": {"1": 60, "2": 25, "3": 15},
    "ift6390": {"1": 25, "2": 25, "3": 50},
}
PARTS = {  # where a sheet or its course gives the points of a part
    ("hw1", "q1a-sigmoid"): 5,
    ("hw1", "q1b-binary-loss"): 5,
    ("hw1", "q1c-softmax"): 5,
    ("hw1", "q1d-multinomial"): 5,
    ("hw1", "q1e-convexity"): 5,
    ("hw1", "q2-squared-loss"): 5,
    ("ecse552", "q1-forward"): 8,
    ("ecse552", "q1-output-gradients"): 10,
    ("ecse552", "q1-hidden-gradients"): 15,
    ("ecse552", "q1-update"): 20,
    ("ecse552", "q1-error-curves"): 7,
}
ITEMS = [(name, title) for name, sheet in SHEETS.items() for title in sheet]


@cache
def assignment(name):
    return load_assignment(REFERENCE / name)


def exercises(name):
    return {exercise.id: exercise for exercise in assignment(name).exercises}


@pytest.mark.parametrize(("name", "title"), ITEMS)
def test_every_item_of_a_sheet_has_its_exercise(name, title):
    item = SHEETS[name][title]
    covering = [exercises(name)[exercise_id] for exercise_id in item.covers.split()]
    if item.words:
        assert any(exercise.answer_cells for exercise in covering)


@pytest.mark.parametrize(("name", "title"), ITEMS)
def test_the_functions_of_an_item_are_there_as_the_sheet_spells_them(name, title):
    item = SHEETS[name][title]
    for spelt in item.names:
        wanted = ast.parse(spelt, mode="eval").body
        heads = [
            head
            for exercise_id in item.covers.split()
            for head in heads_of(name, exercise_id, ast.unparse(wanted.func))
        ]
        assert any(accepts(head, [argument.id for argument in wanted.args]) for head in heads), (
            f"{spelt}: {[ast.unparse(head) for head in heads]}"
        )


def heads_of(name, exercise_id, function):
    """Return the parameters of what the exercise's notebook defines under this name.

    Of a class those of its __init__, which may be inherited.
    """
    notebook = assignment(name).notebooks[exercises(name)[exercise_id].notebook]
    definition = notebook.definitions.get(function)
    if definition is None:
        return
    node = ast.parse(definition.source).body[0]
    if isinstance(node, ast.FunctionDef):
        yield node.args
        return
    inits = [f"{function}.__init__", *(f"{ast.unparse(base)}.__init__" for base in node.bases)]
    for init in inits:
        if init in notebook.definitions:
            yield ast.parse(notebook.definitions[init].source).body[0].args


def accepts(head, wanted):
    """Tell whether a call with these arguments, by place, is what the head asks for."""
    names = [argument.arg for argument in head.args if argument.arg != "self"]
    if not wanted:  # the sheet leaves the parameters open
        return True
    required = len(names) - len(head.defaults)
    return names[: len(wanted)] == wanted and required <= len(wanted)


@pytest.mark.parametrize("name", SHEETS)
def test_every_exercise_belongs_to_an_item_of_the_sheet(name):
    covered = {exercise for item in SHEETS[name].values() for exercise in item.covers.split()}
    assert {e.id for e in exercises(name).values() if e.derivation is None} == covered


@pytest.mark.parametrize("name", SHEETS)
def test_what_the_sheet_wants_written_is_read_along_and_scored_by_nobody(name):
    written = [e for e in exercises(name).values() if e.derivation is not None]

    assert written
    assert all(e.manual and e.points == 0 for e in written)


@pytest.mark.parametrize("name", SHEETS)
def test_the_points_of_each_question_are_the_sheets_own(name):
    points = dict.fromkeys(POINTS[name], 0.0)
    for exercise in exercises(name).values():
        if not exercise.bonus:
            points[exercise.id.removeprefix("q")[0]] += exercise.points
    assert points == POINTS[name]
    assert sum(points.values()) == 100


@pytest.mark.parametrize(("name", "exercise_id"), PARTS)
def test_the_points_of_a_part_are_the_sheets_own(name, exercise_id):
    assert exercises(name)[exercise_id].points == PARTS[name, exercise_id]


def test_what_only_a_person_can_grade_is_left_to_one():
    manual = {
        (name, e.id)
        for name in SHEETS
        for e in exercises(name).values()
        if e.manual and e.derivation is None
    }
    assert manual == {("pw02", "4-review"), ("hw1", "q3-why-nonlinear")}


def test_the_optional_exercise_is_a_bonus():
    bonus = {(name, e.id) for name in SHEETS for e in exercises(name).values() if e.bonus}
    assert bonus == {("pw02", "3g-pairs")}
