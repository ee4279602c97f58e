"""Hidden checks of question 2: least squares. Students get none of this file."""

import numpy as np
import pytest
from test_q2 import assert_step

from grader.checks import as_array, assert_finite
from grader.errors import CheckFailed


@pytest.mark.exercise("q2-sgd-step", points=1, hidden=True)
def test_a_step_has_the_learning_rate_that_is_asked_for(student, rng):
    """Another one, and 0.001 where none is given."""
    for rate in (0.3, 1e-4, None):
        assert_step(student, rng, rate)


@pytest.mark.exercise("q2-neural", points=2, hidden=True)
def test_training_the_network_beats_the_linear_model(student, rng):
    """On targets |x| a linear model can't follow, the error falls to a third of the variance."""
    X = rng.normal(size=(200, 3))
    y = np.abs(X[:, 0]) + X[:, 1]
    model = student.NeuralRegression(3, 30)
    for _ in range(60):
        model.train_epoch(X, y, learning_rate=0.005)
    got = as_array(model.predict(X), called="predict(X) after 60 epochs", shape=(200,))
    assert_finite(got, called="predict(X) after 60 epochs")
    if np.mean((got - y) ** 2) > 0.15:
        raise CheckFailed("after 60 epochs the network is hardly better than a linear model")
