"""A toy assignment: one notebook, two exercises; the check of the second one is weak."""

import json
from functools import partial
from pathlib import Path

import pytest

TOML = """\
id = "toy"
title = "Toy"

[limits]
check_s = 10

[[notebooks]]
file = "toy.ipynb"

[[exercises]]
id = "a"
title = "Mean square"
points = 4
notebook = "toy.ipynb"
functions = ["mean_square"]

[[exercises]]
id = "b"
title = "Prediction"
points = 2
notebook = "toy.ipynb"
functions = ["Model.predict"]
"""

CELLS = [
    "import numpy as np",
    """\
def mean_square(p, y):
    ### START YOUR CODE ###
    # STUB: return 0.0
    d = p - y
    return (d ** 2).sum() / d.size
    ### END YOUR CODE ###
""",
    """\
class Model:
    def __init__(self, w):
        self.w = w

    def predict(self, x):
        ### START YOUR CODE ###
        # STUB: return 0.0 * x[:, :1]
        return x @ (2.0 * self.w) + 1.0
        ### END YOUR CODE ###

made_before = Model(np.array([[2.0]]))
""",
]

# By hand: ((1 - 0)**2 + (5 - 2)**2) / 2 = 5. The second check never asks with a w that is not 0.
CHECKS = """\
import numpy as np
import pytest

from grader.errors import CheckFailed


@pytest.mark.exercise("a", points=4)
def test_a_value(student, rng):
    '''The mean of the squares.'''
    if student.mean_square(np.array([1.0, 5.0]), np.array([0.0, 2.0])) != 5.0:
        raise CheckFailed("the value is wrong", hint="is the mean missing?")
    p = rng.normal(size=7)
    if abs(student.mean_square(p, 0 * p) - np.mean(p * p)) > 1e-9:
        raise CheckFailed("the value is wrong")


@pytest.mark.exercise("b", points=2)
def test_b_prediction(student, rng):
    '''A bias of one.'''
    x = rng.normal(size=(3, 1))
    if not np.array_equal(student.Model(np.zeros((1, 1))).predict(x), np.ones((3, 1))):
        raise CheckFailed("the bias is wrong")
"""

SAMPLES = {
    "sum": """\
title = "a sum for the mean"
kind = "mistake"
notebook = "toy.ipynb"
[regions]
mean_square = '''
return ((p - y) ** 2).sum()
'''
[expect]
a = "MEAN missing"
""",
    "loop": """\
title = "a loop"
kind = "right"
notebook = "toy.ipynb"
[definitions]
mean_square = '''
def mean_square(p, y):
    total = 0.0
    for a, b in zip(p, y):
        total += (a - b) ** 2
    return total / len(p)
'''
[append]
source = "print(mean_square(np.ones(2), np.ones(2)))"
""",
}


def notebook_json(cells: list[str]) -> str:
    return json.dumps(
        {
            "cells": [
                {
                    "cell_type": "code",
                    "id": f"c{n}",
                    "metadata": {},
                    "execution_count": None,
                    "outputs": [],
                    "source": source,
                }
                for n, source in enumerate(cells)
            ],
            "metadata": {},
            "nbformat": 4,
            "nbformat_minor": 5,
        }
    )


def write_toy_into(
    place: Path, *, checks: str = CHECKS, samples: dict[str, str] | None = None
) -> Path:
    folder = place / "reference" / "toy"
    (folder / "samples").mkdir(parents=True)
    (folder / "assignment.toml").write_text(TOML)
    (folder / "toy.ipynb").write_text(notebook_json(CELLS))
    (folder / "test_toy.py").write_text(checks)
    for name, text in (SAMPLES if samples is None else samples).items():
        (folder / "samples" / f"{name}.toml").write_text(text)
    return folder


@pytest.fixture
def write_toy(tmp_path):
    """Write the toy assignment, with other checks or samples where they are given."""
    return partial(write_toy_into, tmp_path)
