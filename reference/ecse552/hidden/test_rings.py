"""Hidden checks of question 2: what hidden units do. Students get none of this file."""

import numpy as np
import pytest
from test_rings import accuracy, drawn_rings, predictions, true_rings

from grader.errors import CheckFailed


@pytest.mark.exercise("q2-rings", points=1.5, hidden=True)
def test_all_random_numbers_come_from_the_generator(student):
    """The same seed gives the same rings, another one gives others."""
    first, again, other = (drawn_rings(student, 50, seed=n)[0] for n in (1, 1, 2))
    if not np.array_equal(first, again):
        raise CheckFailed("the same generator state gives other points each time")
    if np.any(np.all(first == other, axis=1)):
        raise CheckFailed("another generator gives the same points", hint="Draw from `rng`.")


@pytest.mark.exercise("q2-classifier", points=4, hidden=True)
def test_the_classifier_learns_from_the_labels_that_it_is_given(student, rng):
    """The swapped labels are as easy to learn, by a network of the same kind."""
    X, y = true_rings(rng, 1000)
    model = student.train_classifier(X, 1 - y)
    X, y = true_rings(rng, 3000)
    if accuracy(model, X, 1 - y) < 0.97:
        hint = "Does it look at y, or is it made for these rings?"
        raise CheckFailed("with swapped labels it does not learn the swapped rings", hint=hint)
    alone = [predictions(model, x[None])[0] for x in X[:5]]
    if not np.array_equal(alone, predictions(model, X[:5])):
        raise CheckFailed("a point alone gets another label than among others")
